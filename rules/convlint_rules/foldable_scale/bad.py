"""Factors that weights could hold."""

import torch
from torch import nn


class Block(nn.Module):
    """A ConvNeXt block: its layer scale multiplies after the second linear layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, 4 * channels)
        self.project = nn.Linear(4 * channels, channels)  # expect: CL413
        self.gamma = nn.Parameter(torch.full((channels, 1, 1), 1e-6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.mix(x).permute(0, 2, 3, 1))
        y = self.project(nn.functional.gelu(self.expand(y)))
        return x + self.gamma * y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """Two blocks, one finding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 96, 4, stride=4)
        self.blocks = nn.Sequential(Block(96), Block(96))
        self.head = nn.Linear(96, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class ScaledResidual(nn.Module):
    """Inception-ResNet scales what it adds to the shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, stride=4, padding=3)
        self.branch = nn.Conv2d(64, 32, 3, padding=1)
        self.up = nn.Conv2d(32, 64, 1)  # expect: CL413
        self.norm = nn.BatchNorm2d(64)  # expect: CL413
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = x + 0.17 * self.up(torch.relu(self.branch(x)))
        x = x + torch.relu(self.norm(x)) / 8
        return self.head(x.mean((2, 3)))
