"""Rates that cover their field, parallel rates, and a temporal convolutional net."""

import torch
from torch import nn


class Hybrid(nn.Module):
    """Rates 1, 2, 3 in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=r, dilation=r) for r in (1, 2, 3))
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        for conv in self.body:
            x = torch.relu(conv(x))
        return self.head(x.mean((2, 3)))


class Pyramid(nn.Module):
    """Parallel rates of one tensor, as in ASPP."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1)
        self.rates = nn.ModuleList(nn.Conv2d(16, 8, 3, padding=r, dilation=r) for r in (6, 12, 18))
        self.head = nn.Conv2d(24, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return self.head(torch.cat([torch.relu(conv(x)) for conv in self.rates], 1))


class Temporal(nn.Module):
    """Rates that double from 1: every step is read."""

    def __init__(self) -> None:
        super().__init__()
        rates = (1, 2, 4, 8, 16, 32)
        self.body = nn.ModuleList(
            nn.Conv1d(16 if place else 4, 16, 3, padding=r, dilation=r)
            for place, r in enumerate(rates)
        )
        self.head = nn.Conv1d(16, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.body:
            x = torch.relu(conv(x))
        return self.head(x)
