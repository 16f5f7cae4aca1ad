"""A shallow net on a small image, and a deep one on a large image."""

import itertools

import torch
from torch import nn


class Shallow(nn.Module):
    """The last 3x3 still brings in context."""

    def __init__(self) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(1, 3, 32, 32)
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.second = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.third = nn.Conv2d(64, 64, 3, padding=1)
        self.mix = nn.Conv2d(64, 64, 1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in (self.first, self.second, self.third, self.mix):
            x = torch.relu(conv(x))
        return self.head(x.mean((2, 3)))


class Large(nn.Module):
    """On 224 pixels even five strides leave something to see."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 64, 64)
        self.body = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.body:
            x = torch.relu(conv(x))
        return self.head(x.mean((2, 3)))
