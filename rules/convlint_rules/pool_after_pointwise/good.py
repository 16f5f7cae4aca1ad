"""Averages that are in the right place, or whose place is free only in part."""

import torch
from torch import nn
from torch.nn import functional as F


class InOrder(nn.Module):
    """A pool before its 1x1 conv, an activation between, max pooling, a tapped result."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.short = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(32, 64, 1))
        self.bent = nn.Conv2d(64, 64, 1)
        self.peaks = nn.Conv2d(64, 64, 1)
        self.tapped = nn.Conv2d(64, 10, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.short(torch.relu(self.stem(x)))
        x = F.avg_pool2d(torch.relu(self.bent(x)), 2)
        x = F.max_pool2d(self.peaks(x), 2)
        scores = self.tapped(x)
        return scores, scores.mean((2, 3))


class PaddedPool(nn.Module):
    """The bias of the conv and zeros of the padding meet in the average."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 1)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.head = nn.Conv2d(16, 16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.pool(self.conv(x))))
