"""Slices in the place of a stride."""

import torch
from torch import nn


class Focus(nn.Module):
    """The stem of YOLOv5 before 6.0 and of YOLOX."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 32, 3, padding=1, bias=False)  # expect: CL417
        self.norm = nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat(
            [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1
        )
        x = nn.functional.silu(self.norm(self.conv(x)))
        return self.head(x.mean((2, 3)))


class Halved(nn.Module):
    """Rows taken apart, then a 1x1 layer, in place of a patch of two rows."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1)
        self.mix = nn.Conv2d(32, 16, 1)  # expect: CL417

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return self.mix(torch.cat([x[:, :, 1::2], x[:, :, 0::2]], 1))
