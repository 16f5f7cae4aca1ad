"""Dilations that a helper hands to pointwise layers too."""

import torch
from torch import nn


class Stage(nn.Module):
    """A dilated stage whose 1x1 layers are given the dilation as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.reduce = nn.Conv2d(32, 16, 1, dilation=2)  # expect: CL104
        self.conv = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.expand = nn.Conv2d(16, 32, kernel_size=(1, 1), dilation=(4, 4))  # expect: CL104
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.conv(torch.relu(self.reduce(x))))
        return self.head(torch.relu(x + self.expand(y)).mean((2, 3)))


class Waves(nn.Module):
    """The same on sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 16, 9, dilation=3, padding=12)
        self.mix = nn.Conv1d(16, 16, 1, dilation=3)  # expect: CL104
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.mix(torch.relu(self.conv(x)))).mean(2))
