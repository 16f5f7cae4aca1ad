"""Grouped convolutions with 4 channels a group."""

import torch
from torch import nn


class Cardinal(nn.Module):
    """32 groups of 4, as in the first stage of a ResNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 128, 3, stride=4, padding=1)
        self.grouped = nn.Conv2d(128, 128, 3, padding=1, groups=32)  # expect: CL202
        self.mix = nn.Conv2d(128, 128, 1)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.grouped(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.mix(x)).mean((2, 3)))
