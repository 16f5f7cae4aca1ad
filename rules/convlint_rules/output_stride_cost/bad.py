"""A backbone whose last stage is dilated instead of strided."""

import torch
from torch import nn


class Dilated(nn.Module):
    """Output stride 8, kept by dilation 2 in the last three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, stride=8, padding=3)
        self.body = nn.ModuleList(
            nn.Conv2d(64, 64, 3, padding=2, dilation=2)  # expect: CL604
            for _ in range(3)
        )
        self.classes = nn.Conv2d(64, 21, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        for conv in self.body:
            x = torch.relu(conv(x))
        return self.classes(x)
