"""Layers of which a part is used."""

import torch
from torch import nn


class MeanOnly(nn.Module):
    """A variational bottleneck whose variance no output needs, and a slice behind norm and ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)  # expect: CL427
        self.norm = nn.BatchNorm2d(64)
        self.moments = nn.Conv2d(48, 32, 3, padding=1)  # expect: CL427
        self.decode = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))[:, :48]
        mean, _logvar = self.moments(x).chunk(2, 1)
        return self.decode(mean)


class Gated(nn.Module):
    """A depthwise layer of which every second channel is read, and a classifier's first scores."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)  # expect: CL427
        self.head = nn.Linear(16, 40)  # expect: CL427

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.stem(x)))[:, ::2])
        return self.head(x.mean((2, 3)))[:, :10]
