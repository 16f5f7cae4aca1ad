"""Sums of upsampled maps that have to be taken where they are."""

import torch
from torch import nn


class Pyramid(nn.Module):
    """Each level adds one upsampled map, bilinear scales differ, a term is returned too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.up = nn.Upsample(scale_factor=2)
        self.two = nn.Upsample(scale_factor=2, mode="bilinear")
        self.four = nn.Upsample(scale_factor=4, mode="bilinear")

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.down(x))
        z = torch.relu(self.deep(y))
        level2 = y + self.up(z)
        level1 = x + self.up(level2)
        smooth = self.two(y) + self.four(z)
        tapped = self.up(y)
        return level2, level1, smooth, tapped, torch.relu(tapped + self.up(torch.tanh(y)))
