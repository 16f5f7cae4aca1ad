"""Inputs normalised in forward, before a layer that could do it."""

import torch
from torch import nn


class Normalised(nn.Module):
    """Mean and standard deviation of ImageNet, before a padded and before an unpadded stem."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)  # expect: CL426
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - self.mean) / self.std
        return self.head(torch.relu(self.stem(x)).mean((2, 3)))


class Patches(nn.Module):
    """Numbers only, before patches without padding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)  # expect: CL426
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = 2 * (x / 255) - 1
        return self.head(torch.relu(self.stem(x)).mean((2, 3)))
