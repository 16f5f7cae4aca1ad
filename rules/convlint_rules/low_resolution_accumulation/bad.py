"""Sums of maps that were upsampled first."""

import torch
from torch import nn
from torch.nn import functional as F


class Fuse(nn.Module):
    """The fuse layer of a high-resolution net: three scales, nearest neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.up2 = nn.Upsample(scale_factor=2)  # expect: CL423
        self.up4 = nn.Upsample(scale_factor=4)
        self.predict = nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.down(x))
        z = torch.relu(self.deep(y))
        return self.predict(torch.relu(x + self.up2(y) + self.up4(z)))


class TwoHeads(nn.Module):
    """Two heads at one resolution, upsampled bilinearly and added."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1)
        self.first = nn.Conv2d(16, 4, 1)
        self.second = nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[2:]
        x = torch.relu(self.stem(x))
        y = F.interpolate(self.first(x), size, mode="bilinear")  # expect: CL423
        z = F.interpolate(torch.tanh(self.second(x)), size, mode="bilinear")
        return y + z  # nn.Upsample or F.interpolate, it is one
