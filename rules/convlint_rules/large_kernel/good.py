"""Kernels that are large for a reason, or not dense."""

import torch
from torch import nn


class Reasons(nn.Module):
    """A 7x7 stem on RGB, a depthwise 7x7, strips, patches, a dilated 5x5, a 9x9 output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.depthwise = nn.Conv2d(64, 64, 7, padding=3, groups=64)
        self.across = nn.Conv2d(64, 64, (1, 7), padding=(0, 3))
        self.down = nn.Conv2d(64, 64, (7, 1), padding=(3, 0))
        self.dilated = nn.Conv2d(64, 64, 5, padding=4, dilation=2)
        self.patches = nn.Conv2d(64, 64, 8, stride=8)
        self.predict = nn.Conv2d(64, 3, 5, padding=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(self.stem(x)))
        x = torch.relu(self.down(self.across(x)))
        x = self.patches(torch.relu(self.dilated(x)))
        return self.predict(torch.relu(x))


class SmallMap(nn.Module):
    """A 5x5 kernel on a 7x7 map sees padding more than data: another rule's business."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 32, stride=32)
        self.conv = nn.Conv2d(32, 32, 5, padding=2)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(self.patches(x)))
        return self.head(x.mean((2, 3)))
