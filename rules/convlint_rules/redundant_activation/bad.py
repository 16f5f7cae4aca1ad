"""Activations on values that are 0 or more already."""

import torch
from torch import nn


class GatedBlock(nn.Module):
    """A squeeze-and-excitation block whose last ReLU adds two values that are never negative."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.relu = nn.ReLU()
        self.squeeze = nn.Conv2d(32, 8, 1)
        self.excite = nn.Conv2d(8, 32, 1)
        self.last = nn.ReLU()  # expect: CL422
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = self.relu(self.conv1(x))
        x = self.relu(self.conv2(shortcut))
        gate = torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        gate = torch.sigmoid(self.excite(gate))
        return self.head(self.last(x * gate + shortcut).mean((2, 3)))


class Pooled(nn.Module):
    """A leaky ReLU after max-pool, upsampling and concatenation of ReLUs, and abs of a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU6())
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.leaky = nn.LeakyReLU(0.1)  # expect: CL422
        self.six = nn.ReLU6()  # expect: CL422
        self.predict = nn.Conv2d(32, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        x = self.leaky(torch.cat([x, self.up(self.pool(x))], 1))
        return torch.sigmoid(self.predict(self.six(x))).abs()  # expect: CL422
