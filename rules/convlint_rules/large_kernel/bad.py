"""Dense 5x5 and 7x7 convolutions."""

import torch
from torch import nn


class AlexNetLike(nn.Module):
    """AlexNet's second layer: 5x5 from 64 to 192 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 11, stride=4, padding=2)
        self.pool = nn.MaxPool2d(3, 2)
        self.conv2 = nn.Conv2d(64, 192, 5, padding=2)  # expect: CL101
        self.head = nn.Linear(192, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.stem(x)))
        return self.head(torch.relu(self.conv2(x)).mean((2, 3)))


class Towers(nn.Module):
    """Strided 7x7 convs built in a loop, and an even kernel that gets words only."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.towers = nn.ModuleList(
            nn.Conv2d(16, 32, 7, stride=2, padding=3)  # expect: CL101
            for _ in range(2)
        )
        self.even = nn.Conv2d(32, 32, 6, padding=2)  # expect: CL101
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = self.towers[0](x) + self.towers[1](x)
        return self.head(torch.relu(self.even(x)).mean((2, 3)))
