"""Joined maps that no layer of their own made."""

import torch
from torch import nn


class DenseLayer(nn.Module):
    """A layer of DenseNet, whose results every later one reads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, 16, 3, padding=1, bias=False)

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        return self.conv(torch.relu(self.norm(torch.cat(maps, 1))))


class Dense(nn.Module):
    """A dense block, and a norm over a conv and a pooled map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, stride=4)
        self.layers = nn.ModuleList(DenseLayer(16 + 16 * i) for i in range(3))
        self.down = nn.Conv2d(64, 32, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(96)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = [self.stem(x)]
        for layer in self.layers:
            maps.append(layer(maps))
        x = torch.relu(torch.cat(maps, 1))
        return torch.relu(self.norm(torch.cat([self.down(x), self.pool(x)], 1)))
