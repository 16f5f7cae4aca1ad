"""Multiples of 8, a near miss, a stem, and a prediction layer with as many channels as classes."""
# profile: gpu-fp16

import torch
from torch import nn


class Aligned(nn.Module):
    """64 and 116 channels: 120 is 3 % more, under the 15 % that are told."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.body = nn.Conv2d(64, 116, 3, padding=1)
        self.classes = nn.Conv2d(116, 19, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classes(torch.relu(self.body(torch.relu(self.stem(x)))))
