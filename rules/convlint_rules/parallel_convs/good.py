"""Convolutions on one map that are no two halves of one."""
# profile: gpu-fp16

import torch
from torch import nn


class Different(nn.Module):
    """Other strides, kernels, dilations and groups; and two that are summed."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.plain = nn.Conv2d(16, 16, 3, padding=1)
        self.dilated = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.point = nn.Conv2d(16, 16, 1)
        self.left = nn.Conv2d(16, 16, 3, padding=1)
        self.right = nn.Conv2d(16, 16, 3, padding=1)
        self.bn = nn.BatchNorm2d(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        parts = [self.plain(x), self.dilated(x), self.grouped(x), self.point(x)]
        x = torch.relu(torch.cat(parts, 1)[:, 8:24])
        return torch.relu(self.bn(self.left(x)) + self.right(x))
