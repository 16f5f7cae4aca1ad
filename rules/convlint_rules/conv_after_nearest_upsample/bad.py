"""Convolutions of nearest upsampled maps."""

import torch
from torch import nn
from torch.nn import functional as F


class UpConv(nn.Module):
    """Upsample, then 3x3: the up-convolution of many U-Nets."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.up = nn.Upsample(scale_factor=2)
        self.conv = nn.Conv2d(64, 32, 3, padding=1)  # expect: CL405
        self.norm = nn.BatchNorm2d(32)
        self.head = nn.Conv2d(32, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(torch.relu(self.stem(x)))
        return self.head(torch.relu(self.norm(self.conv(x))))


class Skip(nn.Module):
    """A decoder block: the upsampled map is joined with a skip, then convolved."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.second = nn.Conv2d(16, 64, 3, stride=2, padding=1)
        self.block = nn.Conv2d(80, 32, 3, padding=1, bias=False)  # expect: CL405
        self.head = nn.Conv2d(32, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = torch.relu(self.first(x))
        low = torch.relu(self.second(skip))
        grown = F.interpolate(low, scale_factor=2, mode="nearest")
        return self.head(torch.relu(self.block(torch.cat([grown, skip], 1))))
