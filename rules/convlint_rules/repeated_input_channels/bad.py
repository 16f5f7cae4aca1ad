"""Layers that read copies."""

import torch
from torch import nn


class GreyStem(nn.Module):
    """A grey image repeated to three channels for a stem of RGB."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2, padding=3)  # expect: CL421
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey = x.mean(1, keepdim=True)
        x = torch.relu(self.stem(grey.expand(-1, 3, -1, -1)))
        return self.head(x.mean((2, 3)))


class Doubled(nn.Module):
    """A map concatenated with itself, and features repeated before a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(48, 32, 3, padding=1)  # expect: CL421
        self.head = nn.Linear(64, 10)  # expect: CL421

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv1(x))
        y = torch.sigmoid(x)
        x = torch.relu(self.conv2(torch.cat([x, y, x], 1)))
        return self.head(x.mean((2, 3)).repeat(1, 2))
