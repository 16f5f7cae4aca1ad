"""Rows of dilated convolutions with holes between their taps."""

import torch
from torch import nn


class SameRates(nn.Module):
    """Rates 2, 2, 2: an output sees one input in four."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.body = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=2, dilation=2),  # expect: CL103
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=2, dilation=2),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=2, dilation=2),
            nn.ReLU(),
        )
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(torch.relu(self.stem(x))).mean((2, 3)))


class TooFast(nn.Module):
    """Rates 2, 9 after a plain 3x3: no common divisor, but 9 leaves a gap behind 2."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.near = nn.Conv2d(16, 16, 3, padding=2, dilation=2)  # expect: CL103
        self.far = nn.Conv2d(16, 16, 3, padding=9, dilation=9)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.near(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.far(x)).mean((2, 3)))
