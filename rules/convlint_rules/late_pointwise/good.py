"""Pooling first, linear layers before it, and pointwise layers that hold little."""

import torch
from torch import nn


class PooledFirst(nn.Module):
    """MobileNetV3's head: the wide layer runs on one position."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.wide = nn.Conv2d(64, 1024, 1)
        self.head = nn.Linear(1024, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x)).mean((2, 3), keepdim=True)
        return self.head(torch.relu(self.wide(x)).flatten(1))


class Linear(nn.Module):
    """Nothing but a norm between: that layer moves exactly (CL401)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.wide = nn.Conv2d(64, 128, 1)
        self.norm = nn.BatchNorm2d(128)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.wide(torch.relu(self.stem(x)))).mean((2, 3)))


class Small(nn.Module):
    """The 1x1 holds 1 % of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.body = nn.Conv2d(64, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(8)
        self.last = nn.Conv2d(64, 96, 1)
        self.head = nn.Linear(96, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.body(torch.relu(self.stem(x)))))
        return self.head(torch.relu(self.last(x)).mean((2, 3)))
