"""Blocks as they are trained: parallel linear branches, summed."""

import torch
from torch import nn


class RepVGGBlock(nn.Module):
    """3x3, 1x1 and the input itself, each with a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.dense = nn.Conv2d(32, 32, 3, padding=1, bias=False)  # expect: CL409
        self.norm3 = nn.BatchNorm2d(32)
        self.point = nn.Conv2d(32, 32, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(32)
        self.norm0 = nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = self.norm3(self.dense(x)) + self.norm1(self.point(x)) + self.norm0(x)
        return self.head(torch.relu(x).mean((2, 3)))


class Overparameterised(nn.Module):
    """Four branches of the same kernel, as in MobileOne, summed in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(32, 64, 1, bias=False),  # expect: CL409
                nn.BatchNorm2d(64),
            )
            for _ in range(4)
        )
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        total = 0
        for branch in self.branches:
            total = total + branch(x)
        return self.head(torch.relu(total).mean((2, 3)))


class Encoded(nn.Module):
    """A depthwise convolution as positional encoding: an addition more, no MACs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 16, stride=16)
        self.position = nn.Conv2d(32, 32, 3, padding=1, groups=32)  # expect: CL409
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = x + self.position(x)
        return self.head(torch.relu(x).mean((2, 3)))
