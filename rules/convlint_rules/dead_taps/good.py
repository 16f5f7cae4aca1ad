"""Maps that their kernels fit, and padding that is data."""

import torch
from torch import nn


class Fits(nn.Module):
    """Rate 12 on 28x28 reads data with every tap, and with half of its products."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.near = nn.Conv2d(64, 32, 3, padding=12, dilation=12)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.near(torch.relu(self.stem(x)))).mean((2, 3)))


class Circular(nn.Module):
    """Circular padding of a small map: every tap reads data."""

    def __init__(self) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(1, 3, 32, 32)
        self.stem = nn.Conv2d(3, 64, 16, stride=16)
        self.last = nn.Conv2d(64, 64, 3, padding=2, dilation=2, padding_mode="circular")
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.last(torch.relu(self.stem(x)))).mean((2, 3)))
