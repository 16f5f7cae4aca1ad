"""Factors that no weight could hold."""

import torch
from torch import nn


class Needed(nn.Module):
    """Behind SiLU, over positions, computed from the input, on a tensor that others read."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv3 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv4 = nn.Conv2d(16, 16, 3, padding=1)
        self.conv5 = nn.Conv2d(16, 16, 3, padding=1)
        self.gate = nn.Conv2d(16, 16, 1)
        self.window = nn.Parameter(torch.ones(1, 1, 224, 224))
        self.slope = nn.Parameter(torch.ones(16, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = 0.5 * nn.functional.silu(self.conv1(x))
        x = self.window * self.conv2(x)
        x = self.conv3(x) * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        x = self.slope * torch.relu(self.conv4(x))
        y = self.conv5(x)
        return y + 0.5 * y
