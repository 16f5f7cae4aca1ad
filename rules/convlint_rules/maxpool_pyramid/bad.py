"""Spatial pyramid pooling."""

import torch
from torch import nn


class SPP(nn.Module):
    """Windows of 5, 9 and 13 on one map, as in YOLOv3-SPP and YOLOv4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=8, padding=1)
        self.pools = nn.ModuleList(
            nn.MaxPool2d(k, stride=1, padding=k // 2)  # expect: CL412
            for k in (5, 9, 13)
        )
        self.conv = nn.Conv2d(128, 32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return self.conv(torch.cat([x, *(pool(x) for pool in self.pools)], 1))


class Bands(nn.Module):
    """Two windows that grow along one axis."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=8, padding=1)
        self.short = nn.MaxPool2d((3, 7), stride=1, padding=(1, 3))
        self.long = nn.MaxPool2d((3, 15), stride=1, padding=(1, 7))  # expect: CL412

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return self.short(x) + self.long(x)
