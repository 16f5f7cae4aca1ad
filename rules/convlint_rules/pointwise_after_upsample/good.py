"""Convolutions in the right place, and upsampled maps that are needed as they are."""

import torch
from torch import nn
from torch.nn import functional as F


class InOrder(nn.Module):
    """Reduced before it grows, bent after a bilinear resize, a tapped map, a 3x3, a widening."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=8, padding=1)
        self.reduce = nn.Conv2d(32, 16, 1)
        self.bent = nn.Conv2d(16, 16, 1)
        self.spatial = nn.Conv2d(16, 16, 3, padding=1)
        self.tapped = nn.Conv2d(16, 4, 1)
        self.widen = nn.Conv2d(4, 64, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.interpolate(self.reduce(self.stem(x)), scale_factor=2, mode="bilinear")
        x = self.spatial(self.bent(torch.relu(x)))
        skip = F.interpolate(x, scale_factor=2, mode="bilinear")
        x = F.interpolate(torch.relu(self.tapped(skip)), scale_factor=2, mode="bilinear")
        return skip, self.widen(x)
