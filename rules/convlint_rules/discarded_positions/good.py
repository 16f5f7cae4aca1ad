"""Strides in the 3x3, maps that are returned, and readers that need every position."""

import torch
from torch import nn


class EarlyStride(nn.Module):
    """ResNet as torchvision builds it: the 3x3 has the stride; the shortcut reads the map too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.reduce = nn.Conv2d(64, 32, 1)
        self.conv = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.shortcut = nn.Conv2d(64, 32, 1, stride=2)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = self.conv(torch.relu(self.reduce(x)))
        return self.head(torch.relu(y + self.shortcut(x)).mean((2, 3)))


class Pyramid(nn.Module):
    """The map is returned as well: a feature pyramid needs it whole."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.next = nn.Conv2d(32, 32, 1, stride=2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.stem(x))
        return x, self.next(x)


class Offsets(nn.Module):
    """Two readers start at different positions, as in FactorizedReduce."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.even = nn.Conv2d(32, 16, 1, stride=2)
        self.odd = nn.Conv2d(32, 16, 1, stride=2)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1)
        return self.head(torch.relu(x).mean((2, 3)))
