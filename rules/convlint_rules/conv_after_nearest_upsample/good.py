"""Bilinear upsampling, strides, even kernels, other padding, and a map that others read too."""

import torch
from torch import nn
from torch.nn import functional as F


class Bilinear(nn.Module):
    """Interpolated values are no copies, and the borders differ."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.conv = nn.Conv2d(32, 16, 3, padding=1)
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(torch.relu(self.stem(x)), scale_factor=2, mode="bilinear")
        return self.head(torch.relu(self.conv(x)))


class Others(nn.Module):
    """Reflection at the borders, a stride, and a part of the map returned."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.reflect = nn.Conv2d(32, 16, 3, padding=1, padding_mode="reflect")
        self.stride = nn.Conv2d(32, 16, 3, stride=2, padding=1)
        self.tapped = nn.Conv2d(32, 16, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = torch.relu(self.stem(x))
        a = self.reflect(F.interpolate(x, scale_factor=2))
        b = self.stride(F.interpolate(x, scale_factor=2))
        grown = F.interpolate(x, scale_factor=2)
        return a, b, self.tapped(grown), grown
