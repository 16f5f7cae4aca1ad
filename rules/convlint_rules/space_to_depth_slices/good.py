"""The strided layer itself, and slices that are no such thing."""

import torch
from torch import nn


class Strided(nn.Module):
    """A 6x6 stem of stride 2; halves joined; a mirrored border; slices that a norm reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 6, stride=2, padding=2)
        self.joined = nn.Conv2d(32, 16, 3, padding=1)
        self.mirrored = nn.Conv2d(32, 16, 3, padding=1, padding_mode="reflect")
        self.norm = nn.BatchNorm2d(32)
        self.normed = nn.Conv2d(32, 16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = self.joined(torch.cat([x[:, :, :56], x[:, :, 56:]], 1))
        x = self.mirrored(torch.cat([x[:, :, ::2], x[:, :, 1::2]], 1))
        return self.normed(self.norm(torch.cat([x[..., ::2], x[..., 1::2]], 1)))
