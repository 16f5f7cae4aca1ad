"""Batch norms behind which an unpadded layer stands, and no layer before them."""

import torch
from torch import nn


class TokenMixer(nn.Module):
    """InceptionNeXt: parts, one of them untouched, are joined, normalised and multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 4, stride=4)
        self.square = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.band = nn.Conv2d(16, 16, (1, 11), padding=(0, 5), groups=16)
        self.norm = nn.BatchNorm2d(64)  # expect: CL414
        self.fc1 = nn.Conv2d(64, 256, 1)
        self.fc2 = nn.Conv2d(256, 64, 1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        left, a, b = x.split([32, 16, 16], 1)
        y = self.norm(torch.cat([left, self.square(a), self.band(b)], 1))
        y = self.fc2(nn.functional.gelu(self.fc1(y)))
        return self.head((x + y).mean((2, 3)))


class Features(nn.Module):
    """Norms after an activation: before a strided conv, and before a flattened head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2, padding=3)
        self.norm1 = nn.BatchNorm2d(32)  # expect: CL414
        self.down = nn.Conv2d(32, 32, 2, stride=2, bias=False)
        self.norm2 = nn.BatchNorm2d(32)  # expect: CL414
        self.pool = nn.AvgPool2d(8)
        self.head = nn.Linear(32 * 7 * 7, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(self.norm1(torch.relu(self.stem(x))))
        x = self.norm2(torch.relu(x))
        return self.head(torch.flatten(self.pool(x), 1))
