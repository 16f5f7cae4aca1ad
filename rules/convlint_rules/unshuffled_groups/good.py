"""Grouped convolutions whose groups meet, in the spellings people use."""

import torch
from torch import nn


def shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Shuffled(nn.Module):
    """View, transpose, reshape; strided slices; nn.ChannelShuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.a = nn.Conv2d(64, 64, 3, padding=1, groups=4)
        self.b = nn.Conv2d(64, 64, 3, padding=1, groups=4)
        self.c = nn.Conv2d(64, 64, 3, padding=1, groups=4)
        self.d = nn.Conv2d(64, 64, 3, padding=1, groups=4)
        self.mix = nn.ChannelShuffle(4)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = shuffle(self.a(self.stem(x)), 4)
        x = self.b(x)
        x = torch.cat([x[:, i::4] for i in range(4)], dim=1)
        x = self.mix(self.c(x))
        return self.head(self.d(x).mean((2, 3)))


class Bottleneck(nn.Module):
    """ResNeXt: a dense 1x1 between the grouped convs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.a = nn.Conv2d(64, 64, 3, padding=1, groups=8)
        self.mix = nn.Conv2d(64, 64, 1)
        self.b = nn.Conv2d(64, 64, 3, padding=1, groups=8)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.mix(torch.relu(self.a(x)))
        return self.head(self.b(x).mean((2, 3)))


class LargeKernel(nn.Module):
    """A large depthwise kernel made of two: 5x5, then 7x7 with dilation 3."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.near = nn.Conv2d(32, 32, 5, padding=2, groups=32)
        self.far = nn.Conv2d(32, 32, 7, padding=9, dilation=3, groups=32)
        self.mix = nn.Conv2d(32, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head((x * self.mix(self.far(self.near(x)))).mean((2, 3)))
