"""Activations that cut something off."""

import torch
from torch import nn
from torch.nn import functional as F


class Needed(nn.Module):
    """After a conv, after a bicubic upsampling, after a difference, and a ReLU6 on a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.relu = nn.ReLU()
        self.six = nn.ReLU6()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.conv1(x))
        up = self.relu(F.interpolate(x, scale_factor=2, mode="bicubic"))
        x = self.relu(self.conv2(x) + x)
        x = F.max_pool2d(self.six(x + x), 2)
        return self.relu(x - F.max_pool2d(up, 4))


class PreActivation(nn.Module):
    """ReLU on a residual stream whose blocks end in a conv."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for conv in self.convs:
            x = x + conv(torch.relu(x))
        return torch.relu(x)
