"""Channels reordered right before a layer that mixes them all."""

import torch
from torch import nn


class Shuffled(nn.Module):
    """A shuffle after a grouped conv, which a dense 1x1 follows; BGR turned to RGB by a flip."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)  # expect: CL420
        self.grouped = nn.Conv2d(32, 32, 3, padding=1, groups=4)
        self.shuffle = nn.ChannelShuffle(4)
        self.project = nn.Conv2d(32, 64, 1)  # expect: CL420
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x.flip(1)))
        x = torch.relu(self.grouped(x))
        x = torch.relu(self.project(self.shuffle(x)))
        return self.head(x.mean((2, 3)))


class ByHand(nn.Module):
    """The shuffle as view, transpose, view; and features flattened channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(3, 12, 3, padding=1, groups=3)
        self.mix = nn.Conv2d(12, 8, 3, padding=1)  # expect: CL420
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Linear(128, 10)  # expect: CL420

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.grouped(x))
        n, c, h, w = x.shape
        x = x.view(n, 3, c // 3, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        x = self.pool(torch.relu(self.mix(x)))
        return self.head(x.permute(0, 2, 3, 1).reshape(n, -1))
