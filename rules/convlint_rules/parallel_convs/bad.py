"""Several convolutions of one geometry on one map."""
# profile: gpu-fp16

import torch
from torch import nn


class Inception(nn.Module):
    """Three 1x1 branches on one map; a fourth pools first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.one = nn.Conv2d(32, 16, 1)
        self.reduce3 = nn.Conv2d(32, 16, 1)  # expect: CL416
        self.three = nn.Conv2d(16, 24, 3, padding=1)
        self.reduce5 = nn.Conv2d(32, 4, 1, bias=False)
        self.five = nn.Conv2d(4, 8, 5, padding=2)
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.pooled = nn.Conv2d(32, 8, 1)
        self.head = nn.Linear(56, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        three = self.three(torch.relu(self.reduce3(x)))
        five = self.five(torch.relu(self.reduce5(x)))
        x = torch.cat([self.one(x), three, five, self.pooled(self.pool(x))], 1)
        return self.head(torch.relu(x).mean((2, 3)))


class Detector(nn.Module):
    """Two heads that are called on two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.down = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.scores = nn.Conv2d(32, 20, 3, padding=1)  # expect: CL416
        self.boxes = nn.Conv2d(32, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        first = torch.relu(self.stem(x))
        second = torch.relu(self.down(first))
        return [head(x) for x in (first, second) for head in (self.scores, self.boxes)]
