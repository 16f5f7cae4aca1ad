"""Channels that are the same for every input."""

import torch
from torch import nn


class CoordStem(nn.Module):
    """CoordConv: the stem reads where each pixel is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(5, 32, 7, stride=2, padding=3)  # expect: CL419
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, _, height, width = x.shape
        ys = torch.linspace(-1, 1, height).view(1, 1, height, 1).expand(n, 1, height, width)
        xs = torch.linspace(-1, 1, width).view(1, 1, 1, width).expand(n, 1, height, width)
        x = torch.relu(self.conv(torch.cat([x, xs, ys], 1)))
        return self.head(x.mean((2, 3)))


class Positions(nn.Module):
    """A learned map beside the features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 4, stride=4)
        self.position = nn.Parameter(torch.zeros(1, 32, 56, 56))
        self.mix = nn.Conv2d(64, 32, 3, padding=1)  # expect: CL419

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return self.mix(torch.cat([self.position.expand(len(x), -1, -1, -1), x], 1))
