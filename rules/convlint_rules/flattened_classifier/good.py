"""Averaged features, and flattened ones that hold little."""

import torch
from torch import nn


class Averaged(nn.Module):
    """Global average pooling, then flatten: a wide head on one position."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 512, 3, stride=4, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(512, 4000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.flatten(self.pool(torch.relu(self.conv(x))), 1))


class LeNet(nn.Module):
    """A small flattened map: 48 thousand weights are no burden."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 5, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(5)
        self.fc = nn.Linear(16 * 25, 120)
        self.head = nn.Linear(120, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv(x)))
        return self.head(torch.relu(self.fc(x.flatten(1))))
