"""Narrow middles, activations, groups, and a shift before a padded layer."""

import torch
from torch import nn


class LowRank(nn.Module):
    """A narrow middle: two layers are cheaper than one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.down = nn.Conv2d(64, 8, 1, bias=False)
        self.up = nn.Conv2d(8, 64, 1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(self.down(torch.relu(self.stem(x))))
        return self.head(torch.relu(x).mean((2, 3)))


class Separable(nn.Module):
    """A depthwise layer and its 1x1, and a biased 1x1 before a padded 3x3."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.pointwise = nn.Conv2d(32, 32, 1)
        self.point = nn.Conv2d(32, 64, 1)
        self.dense = nn.Conv2d(64, 32, 3, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.pointwise(self.depthwise(torch.relu(self.stem(x)))))
        return self.head(torch.relu(self.dense(self.point(x))).mean((2, 3)))
