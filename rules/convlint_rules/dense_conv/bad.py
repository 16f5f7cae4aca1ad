"""Dense 3x3 convolutions on wide maps."""

import torch
from torch import nn


class Block(nn.Module):
    """Two dense 3x3 with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)  # expect: CL301
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)  # expect: CL301
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(y)))


class PlainNet(nn.Module):
    """A stem, a strided dense conv, two blocks and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=4, padding=3)
        self.down = nn.Conv2d(32, 64, 3, stride=2, padding=1)  # expect: CL301
        self.blocks = nn.Sequential(Block(64), Block(64))
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.down(torch.relu(self.stem(x))))
        return self.head(self.blocks(x).mean((2, 3)))
