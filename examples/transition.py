"""A small DenseNet: a transition that pools after its 1x1 layer, and a bias that a norm takes out."""

import torch
from torch import nn


class Transition(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.conv(torch.relu(self.norm(x))))


class SmallDenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, kernel_size=3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.first = nn.Conv2d(32, 32, kernel_size=3, padding=1, bias=False)
        self.transition = Transition(64)
        self.second = nn.Conv2d(32, 32, kernel_size=3, padding=1, bias=False)
        self.classes = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = self.transition(torch.cat([x, self.first(x)], 1))
        x = torch.cat([x, self.second(torch.relu(x))], 1)
        return self.classes(torch.relu(x).mean((2, 3)))
