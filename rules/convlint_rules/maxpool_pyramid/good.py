"""A pyramid that is a chain already, and pools that are none."""

import torch
from torch import nn


class SPPF(nn.Module):
    """One pool three times; an average, a stride, an even window, a dilated one beside another."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=8, padding=1)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.wide = nn.MaxPool2d(9, stride=2, padding=4)
        self.mean = nn.AvgPool2d(9, stride=1, padding=4)
        self.sparse = nn.MaxPool2d(5, stride=1, padding=2, dilation=2)
        self.even = nn.MaxPool2d(4, stride=1, padding=2)
        self.conv = nn.Conv2d(64, 16, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = torch.relu(self.stem(x))
        a = self.pool(x)
        b = self.pool(a)
        y = self.conv(torch.cat([x, a, b, self.pool(b)], 1))
        return y, self.wide(x), self.mean(x), self.sparse(x), self.even(x)
