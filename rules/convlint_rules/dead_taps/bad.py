"""Kernels wider than their maps."""

import torch
from torch import nn


class Pyramid(nn.Module):
    """Rates of 12 and 36 on a 28x28 map: of the second only the middle reads data."""

    def __init__(self) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(1, 3, 224, 224)
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.near = nn.Conv2d(64, 32, 3, padding=12, dilation=12)
        self.far = nn.Conv2d(64, 32, 3, padding=36, dilation=36)  # expect: CL102
        self.classes = nn.Conv2d(64, 21, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.cat([torch.relu(self.near(x)), torch.relu(self.far(x))], 1)
        return self.classes(x)


class Small(nn.Module):
    """A net for large images on a small one: the last 3x3 runs on one position."""

    def __init__(self) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(1, 3, 32, 32)
        self.stem = nn.Conv2d(3, 64, 7, stride=8, padding=3)
        self.down = nn.Conv2d(64, 64, 4, stride=4)
        self.last = nn.Conv2d(64, 128, 3, padding=1)  # expect: CL102
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.down(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.last(x)).mean((2, 3)))
