"""A vector that is added, and spread maps that are not constant for what reads them."""

import torch
from torch import nn
from torch.nn import functional as F


class Added(nn.Module):
    """The pooled branch is projected as one position."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.project = nn.Conv2d(32, 32, 1)
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 32, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return torch.relu(self.project(x) + self.pooled(x))


class Borders(nn.Module):
    """A 3x3 with zero padding sees zeros beside the vector; the spread map is returned."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1)
        self.padded = nn.Conv2d(32, 16, 3, padding=1)
        self.tapped = nn.Conv2d(32, 16, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.stem(x))
        spread = F.interpolate(F.adaptive_avg_pool2d(x, 1), size=x.shape[2:])
        x = torch.relu(self.padded(torch.cat([x, torch.tanh(spread)], 1)))
        return self.tapped(torch.cat([x, spread], 1)), spread
