"""Linear layers in a row."""

import torch
from torch import nn


class Project(nn.Module):
    """A linear projection right before an expansion, as between two inverted residuals."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1)
        self.project = nn.Conv2d(16, 16, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.expand = nn.Conv2d(16, 72, 1, bias=False)  # expect: CL408
        self.head = nn.Linear(72, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.project(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.expand(x)).mean((2, 3)))


class Heads(nn.Module):
    """A 3x3 and a 1x1 with nothing between, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.mix = nn.Conv2d(64, 32, 1)  # expect: CL408
        self.fc = nn.Linear(32, 64)
        self.classes = nn.Linear(64, 10)  # expect: CL408

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.mix(self.conv(x))).mean((2, 3))
        return self.classes(self.fc(x))
