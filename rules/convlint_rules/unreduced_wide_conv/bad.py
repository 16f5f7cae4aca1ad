"""A wide 3x3 head right on wide features."""

import torch
from torch import nn


class FCNHead(nn.Module):
    """3x3 from 512 to 256 channels, as FCN's head does from 2048 to 512."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, stride=8, padding=3)
        self.widen = nn.Conv2d(64, 512, 1)
        self.head = nn.Conv2d(512, 256, 3, padding=1, bias=False)  # expect: CL302
        self.norm = nn.BatchNorm2d(256)
        self.classes = nn.Conv2d(256, 21, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.widen(torch.relu(self.stem(x))))
        return self.classes(torch.relu(self.norm(self.head(x))))
