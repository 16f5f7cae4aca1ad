"""Concatenations whose parts have to be as large as they are, or already are what they were."""

import torch
from torch import nn
from torch.nn import functional as F


class Unet(nn.Module):
    """A 3x3 reads the joined maps, an upsampled part is bent, another is returned."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.spatial = nn.Conv2d(48, 16, 3, padding=1)
        self.bent = nn.Conv2d(48, 16, 1)
        self.tapped = nn.Conv2d(48, 16, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = torch.relu(self.stem(x))
        grown = F.interpolate(torch.relu(self.deep(x)), scale_factor=2, mode="bilinear")
        a = self.spatial(torch.cat([torch.tanh(grown), x], 1))
        b = self.bent(torch.cat([torch.sigmoid(grown), x], 1))
        c = self.tapped(torch.cat([grown, x], 1))
        return a, b, c, grown


class SameSize(nn.Module):
    """Nothing was upsampled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.other = nn.Conv2d(3, 16, 5, padding=2)
        self.fuse = nn.Conv2d(32, 16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fuse(torch.cat([torch.relu(self.stem(x)), torch.relu(self.other(x))], 1))
