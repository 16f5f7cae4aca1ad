"""Convolutions whose borders are cut off again."""

import torch
from torch import nn


class Causal(nn.Module):
    """The temporal block of a TCN: padded on both sides, the right one cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.pad1, self.pad2 = 12, 24
        self.conv1 = nn.Conv1d(16, 32, 7, padding=12, dilation=2)  # expect: CL418
        self.conv2 = nn.utils.parametrizations.weight_norm(
            nn.Conv1d(32, 32, 7, padding=24, dilation=4)  # expect: CL418
        )
        self.down = nn.Conv1d(16, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.conv1(x)[:, :, : -self.pad1].contiguous())
        y = torch.relu(self.conv2(y)[:, :, : -self.pad2].contiguous())
        return self.head(torch.relu(y + self.down(x))[:, :, -1])


class Enlarged(nn.Module):
    """A transposed layer whose borders are cut off, and a map of which the last row is used."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=8, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 4, stride=2)  # expect: CL418
        self.rows = nn.Conv2d(8, 16, 3, padding=1)  # expect: CL418
        self.norm = nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.up(torch.relu(self.stem(x)))[..., 1:-1, 1:-1])
        x = torch.relu(self.norm(self.rows(x)))[:, :, -1]
        return self.head(x.mean(2))
