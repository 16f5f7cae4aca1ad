"""Concatenations whose parts all matter, or whose constant part costs next to nothing."""

import torch
from torch import nn


class Mixed(nn.Module):
    """Features of the input, a grid beside many channels before a 1x1, a grid that is returned."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.join = nn.Conv2d(64, 64, 3, padding=1)
        self.point = nn.Conv2d(65, 64, 1)
        self.tapped = nn.Conv2d(65, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.stem(x))
        context = x.mean((2, 3), keepdim=True).expand_as(x)
        x = torch.relu(self.join(torch.cat([x, context], 1)))
        grid = torch.linspace(0, 1, x.shape[3]).expand(x.shape[0], 1, *x.shape[2:])
        x = torch.relu(self.point(torch.cat([x, grid], 1)))
        placed = torch.cat([x, grid], 1)
        return placed, self.tapped(placed)
