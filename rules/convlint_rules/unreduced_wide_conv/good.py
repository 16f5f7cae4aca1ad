"""A bottleneck, a wide layer on a small map, and a narrow one."""

import torch
from torch import nn


class Bottleneck(nn.Module):
    """The 3x3 stands between two 1x1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 1024, 8, stride=8)
        self.reduce = nn.Conv2d(1024, 256, 1)
        self.conv = nn.Conv2d(256, 256, 3, padding=1)
        self.expand = nn.Conv2d(256, 1024, 1)
        self.head = nn.Linear(1024, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.conv(torch.relu(self.reduce(x))))
        return self.head(torch.relu(x + self.expand(y)).mean((2, 3)))


class LastStage(nn.Module):
    """A wide 3x3 on a 7x7 map, and a dilated one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 256, 16, stride=16)
        self.dilated = nn.Conv2d(256, 256, 3, padding=2, dilation=2)
        self.down = nn.MaxPool2d(2)
        self.last = nn.Conv2d(256, 512, 3, padding=1)
        self.head = nn.Linear(512, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(torch.relu(self.dilated(torch.relu(self.stem(x)))))
        return self.head(torch.relu(self.last(x)).mean((2, 3)))
