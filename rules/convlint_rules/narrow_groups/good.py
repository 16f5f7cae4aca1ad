"""Wide groups, depthwise layers, and a grouped layer that holds next to nothing."""

import torch
from torch import nn


class Wide(nn.Module):
    """48 channels a group, as in RegNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 96, 3, stride=4, padding=1)
        self.grouped = nn.Conv2d(96, 96, 3, padding=1, groups=2)
        self.depthwise = nn.Conv2d(96, 96, 3, padding=1, groups=96)
        self.mix = nn.Conv2d(96, 96, 1)
        self.head = nn.Linear(96, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.grouped(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.mix(torch.relu(self.depthwise(x)))).mean((2, 3)))


class Tiny(nn.Module):
    """A narrow grouped layer on a 7x7 map beside a dense one at full size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.body = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.grouped = nn.Conv2d(32, 32, 3, padding=1, groups=8)
        self.mix = nn.Conv2d(32, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.body(torch.relu(self.stem(x)))))
        return self.head(torch.relu(self.mix(torch.relu(self.grouped(x)))).mean((2, 3)))
