"""Upsampling by transposed convolutions whose kernels the stride does not divide."""

import torch
from torch import nn


class Decoder(nn.Module):
    """The 3x3, stride 2 layer of many tutorials, and a 5x5."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.up1 = nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1)  # expect: CL105
        self.up2 = nn.ConvTranspose2d(16, 8, 5, stride=2, padding=2)  # expect: CL105
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.up1(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.up2(x)))
