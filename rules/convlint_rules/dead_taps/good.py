"""Kernels whose every tap reads data, and borders that are data."""

import torch
from torch import nn


class Reaching(nn.Module):
    """Dilations under the map's size, a small kernel on 2x2, mirrored borders, a 1x1 on 1x1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 16, stride=16)
        self.near = nn.Conv2d(32, 32, 3, padding=3, dilation=3)
        self.mirrored = nn.Conv2d(32, 32, 3, padding=12, dilation=12, padding_mode="reflect")
        self.down = nn.Conv2d(32, 32, 7, stride=7)
        self.small = nn.Conv2d(32, 32, 3, padding=1)
        self.pads = nn.Sequential(nn.ZeroPad2d(1), nn.ReplicationPad2d(1), nn.ConstantPad2d(1, 0.5))
        self.wide = nn.Conv2d(32, 32, 5)
        self.point = nn.Conv2d(32, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.near(x)) + torch.relu(self.mirrored(x))
        x = torch.relu(self.small(torch.relu(self.down(x))))
        x = torch.relu(self.wide(self.pads(x)))
        return self.head(torch.relu(self.point(x.mean((2, 3), keepdim=True))).flatten(1))
