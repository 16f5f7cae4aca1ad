"""Grouped convolutions with nothing that mixes their groups."""

import torch
from torch import nn


class GroupedTower(nn.Module):
    """Three grouped convs in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.a = nn.Conv2d(64, 64, 3, padding=1, groups=4)  # expect: CL201
        self.b = nn.Conv2d(64, 64, 3, padding=1, groups=4)
        self.c = nn.Conv2d(64, 64, 3, padding=1, groups=4)
        self.norm = nn.BatchNorm2d(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a(self.stem(x)))
        x = torch.relu(self.norm(self.b(x)))
        return self.head(self.c(x).mean((2, 3)))


class ViewIsNoShuffle(nn.Module):
    """A view there and back moves no channel: the transpose between is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.first = nn.Conv2d(32, 64, 1, groups=2)  # expect: CL201
        self.depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.second = nn.Conv2d(64, 32, 1, groups=4)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(self.stem(x))
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).view(n, c, h, w)
        return self.head(self.second(self.depthwise(x)).mean((2, 3)))


class DepthwiseTwice(nn.Module):
    """Depthwise after depthwise: no channel ever meets another."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.one = nn.Conv2d(32, 32, 3, padding=1, groups=32)  # expect: CL201
        self.two = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.two(torch.relu(self.one(self.stem(x)))).mean((2, 3)))
