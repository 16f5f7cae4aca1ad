"""Convolutions of one tap on maps that were upsampled first."""

import torch
from torch import nn
from torch.nn import functional as F


class Decoder(nn.Module):
    """Upsample, then reduce the channels, at each step of a decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(64, 32, 1),  # expect: CL402
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        self.predict = nn.Conv2d(32, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.predict(self.up(torch.relu(self.stem(x))))


class NearestThenHeads(nn.Module):
    """Nearest neighbours, an activation, and two heads on the large map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.classes = nn.Conv2d(32, 8, 1)  # expect: CL402
        self.boxes = nn.Conv2d(32, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.interpolate(self.stem(x), scale_factor=2)
        return self.classes(F.silu(x)), self.boxes(F.silu(x))
