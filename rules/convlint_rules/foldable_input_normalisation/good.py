"""Inputs that no weights could normalise."""

import torch
from torch import nn


class Kept(nn.Module):
    """A shift before padding, and a normalised input that a skip connection reads too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.out = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x - 0.5
        return self.out(torch.relu(self.stem(x)))


class Residual(nn.Module):
    """Super-resolution adds what it finds to its normalised input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.out = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x / 255
        return x + self.out(torch.relu(self.stem(x)))


class OwnStatistics(nn.Module):
    """Mean and deviation of the input itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, stride=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stem((x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True))
