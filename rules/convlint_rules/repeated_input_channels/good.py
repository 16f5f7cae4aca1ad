"""Copies that are needed, and channels that are not copies."""

import torch
from torch import nn


class Needed(nn.Module):
    """Copies that a norm changes, that are returned, that a grouped conv reads; other maps."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6)
        self.normed = nn.Conv2d(6, 8, 3, padding=1)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=2)
        self.mixed = nn.Conv2d(32, 8, 3, padding=1)
        self.tapped = nn.Conv2d(16, 8, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.normed(self.norm(x.repeat(1, 2, 1, 1))))
        x = torch.relu(self.grouped(torch.cat([x, x], 1)))
        x = torch.relu(self.mixed(torch.cat([x, x.flip(3)], 1)))
        twice = torch.cat([x, x], 1)
        return twice, self.tapped(twice)
