"""Batch norms that have to stay, or that the layer before them takes in."""

import torch
from torch import nn


class Kept(nn.Module):
    """Right behind a conv, before padding, before an activation, with another reader."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(32)
        self.conv1 = nn.Conv2d(32, 32, 1)
        self.norm2 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.norm3 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 32, 1)
        self.norm4 = nn.BatchNorm2d(32)
        self.conv4 = nn.Conv2d(32, 32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv1(self.norm1(self.stem(x))))
        x = torch.relu(self.conv2(self.norm2(x)))
        x = torch.relu(self.conv3(torch.relu(self.norm3(x))))
        x = self.norm4(x)
        return x + self.conv4(x)
