"""Concatenations with upsampled parts, and the 1x1 convolutions that read them."""

import torch
from torch import nn
from torch.nn import functional as F


class Scales(nn.Module):
    """A head that brings three scales to one size, joins them and fuses them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.middle = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.deepest = nn.Conv2d(64, 64, 3, stride=2, padding=1)
        self.fuse = nn.Conv2d(160, 32, 1)  # expect: CL403
        self.predict = nn.Conv2d(32, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.middle(x))
        z = torch.relu(self.deepest(y))
        up = [F.interpolate(each, x.shape[2:], mode="bilinear") for each in (y, z)]
        return self.predict(torch.relu(self.fuse(torch.cat([x, *up], 1))))


class CrossStage(nn.Module):
    """A detector's neck: nearest neighbours, a concatenation, two 1x1 convs that read it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.deep = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.up = nn.Upsample(scale_factor=2)
        self.left = nn.Conv2d(96, 32, 1)  # expect: CL403
        self.right = nn.Conv2d(96, 32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        joined = torch.cat([self.up(torch.relu(self.deep(x))), x], 1)
        return torch.relu(self.left(joined)) * torch.sigmoid(self.right(joined))
