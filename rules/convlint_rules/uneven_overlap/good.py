"""Even overlaps: kernel twice the stride, kernel equal to it, and fixed interpolations."""

import torch
from torch import nn


class Even(nn.Module):
    """4x4 and 2x2 with stride 2; stride 1 always overlaps evenly; a depthwise bilinear kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.up1 = nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.same = nn.ConvTranspose2d(8, 8, 3, padding=1)
        self.bilinear = nn.ConvTranspose2d(8, 8, 3, stride=2, groups=8, bias=False)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.up1(torch.relu(self.stem(x))))
        x = torch.relu(self.same(torch.relu(self.up2(x))))
        return self.head(self.bilinear(x))


class Gaps(nn.Module):
    """A kernel smaller than the stride leaves gaps, on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1)
        self.spread = nn.ConvTranspose2d(16, 16, 1, stride=2)
        self.head = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.spread(torch.relu(self.stem(x))))
