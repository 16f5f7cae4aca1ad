"""Dilations that spread taps, and pointwise layers without any."""

import torch
from torch import nn


class Spread(nn.Module):
    """A dilated 3x3 between plain 1x1 layers, and a strip dilated along its taps."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.reduce = nn.Conv2d(32, 16, 1)
        self.conv = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.strip = nn.Conv2d(16, 16, (1, 3), padding=(0, 2), dilation=(1, 2))
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.reduce(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.strip(torch.relu(self.conv(x)))).mean((2, 3)))


class Strips(nn.Module):
    """A strip with one dilation for both axes: one of them spreads taps, so it is left alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.strip = nn.Conv2d(16, 16, (1, 3), padding=(0, 2), dilation=2)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.strip(torch.relu(self.stem(x)))).mean((2, 3)))
