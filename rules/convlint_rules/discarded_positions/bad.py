"""Strides that come after the work."""

import torch
from torch import nn


class LateStride(nn.Module):
    """The end of a stage, and the first 1x1 of the next one with the stride."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.reduce = nn.Conv2d(64, 16, 1)
        self.conv = nn.Conv2d(16, 16, 3, padding=1)  # expect: CL407
        self.norm = nn.BatchNorm2d(16)
        self.expand = nn.Conv2d(16, 64, 1)
        self.next = nn.Conv2d(64, 32, 1, stride=2)
        self.shortcut = nn.Conv2d(64, 32, 1, stride=2)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.norm(self.conv(torch.relu(self.reduce(x)))))
        x = torch.relu(x + self.expand(y))
        return self.head((torch.relu(self.next(x)) + self.shortcut(x)).mean((2, 3)))


class Sliced(nn.Module):
    """A 3x3 of which a slice keeps one position in four."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3, padding=1)  # expect: CL407
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(x))[:, :, ::2, ::2]
        return self.head(x.mean((2, 3)))
