"""Channels reordered for a reason."""

import torch
from torch import nn


class Needed(nn.Module):
    """Before a grouped conv, before a split, before a norm, with another reader; space flipped."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.grouped = nn.Conv2d(32, 32, 3, padding=1, groups=4)
        self.shuffle = nn.ChannelShuffle(4)
        self.branch = nn.Conv2d(16, 16, 1)
        self.norm = nn.BatchNorm2d(32)
        self.normed = nn.Conv2d(32, 32, 1)
        self.tapped = nn.Conv2d(32, 32, 1)
        self.mirror = nn.Conv2d(32, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.grouped(self.shuffle(x)))
        left, right = self.shuffle(x).chunk(2, dim=1)
        x = torch.cat([left, self.branch(right)], 1)
        x = torch.relu(self.normed(self.norm(self.shuffle(x))))
        shuffled = self.shuffle(x)
        x = torch.relu(self.tapped(shuffled))
        return shuffled, self.mirror(x.flip(3))


class Flattened(nn.Module):
    """The usual head: flatten moves nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(torch.relu(self.conv(x))).flatten(1))
