"""Biases that count."""

import torch
from torch import nn


class Counted(nn.Module):
    """Before norms over several channels, before ReLU, on a tensor that others read; no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.norm2 = nn.GroupNorm(2, 16)
        self.conv3 = nn.Conv2d(16, 16, 1)
        self.norm3 = nn.LayerNorm(16)
        self.conv4 = nn.Conv2d(16, 16, 3, padding=1)
        self.norm4 = nn.BatchNorm2d(16)
        self.conv5 = nn.Conv2d(16, 16, 1)
        self.norm5 = nn.BatchNorm2d(16)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.norm1(self.conv1(x)))
        x = torch.relu(self.norm2(self.conv2(x)))
        x = self.norm3(self.conv3(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.norm4(torch.relu(self.conv4(x)))
        y = self.conv5(x)
        return y, self.norm5(y)
