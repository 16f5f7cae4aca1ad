"""Weights that are used without a call of their layer, a moving average, outputs that cost nothing."""
# outputs: out

import torch
from torch import nn
from torch.nn import functional as F


class Functional(nn.Module):
    """Kernels taken out of layers that are never called, tied weights, a copy kept by name."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(3, 16, 3, padding=1)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 16, 3))
        self.tied = nn.Linear(16, 16)
        self.twin = nn.Linear(16, 16)
        self.twin.weight, self.twin.bias = self.tied.weight, self.tied.bias
        self.head = nn.Linear(16, 10)
        self.head_ema = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        kernel = self.first.weight + self.second.weight
        x = F.conv2d(x, kernel, self.first.bias + self.second.bias.detach(), stride=2)
        x = torch.relu(self.normed(x)).mean((2, 3))
        return {"out": self.head(torch.relu(self.tied(x)))}


class Features(nn.Module):
    """What the other output needs, the one that is read needs too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = torch.relu(self.stem(x))
        return {"out": self.head(x), "features": x}
