"""One vector, spread over a map and convolved at every position."""

import torch
from torch import nn
from torch.nn import functional as F


class Context(nn.Module):
    """Atrous pyramid pooling in small: a 1x1 branch, a pooled branch, a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.local = nn.Conv2d(64, 32, 1)
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(64, 32, 1), nn.ReLU())
        self.project = nn.Sequential(
            nn.Conv2d(64, 32, 1, bias=False),  # expect: CL404
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        pooled = F.interpolate(self.pooled(x), size=x.shape[2:], mode="bilinear")
        return self.project(torch.cat([torch.relu(self.local(x)), pooled], 1))


class Conditioned(nn.Module):
    """An embedding of the whole image expanded beside the map, a 3x3 without padding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.mix = nn.Conv2d(64, 16, 3)  # expect: CL404

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        mean = x.mean((2, 3), keepdim=True).expand(-1, -1, *x.shape[2:])
        return self.mix(torch.cat([x, torch.tanh(mean)], 1))
