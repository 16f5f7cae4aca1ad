"""Strides, parallel rates, and a full-resolution net whose dilation is its design."""

import torch
from torch import nn


class Strided(nn.Module):
    """Every stage halves its map."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=4, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3)))


class Pyramid(nn.Module):
    """Parallel rates of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=8, padding=1)
        self.rates = nn.ModuleList(nn.Conv2d(32, 16, 3, padding=r, dilation=r) for r in (6, 6, 6))
        self.classes = nn.Conv2d(48, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return self.classes(torch.cat([torch.relu(conv(x)) for conv in self.rates], 1))


class Context(nn.Module):
    """Dilation at the input's resolution, to see far without any stride."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.third = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.last = nn.Conv2d(16, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.last(torch.relu(self.third(x)))
