"""Calls that are made twice."""

import torch
from torch import nn


class Heads(nn.Module):
    """Two heads that each call the neck, and a stem that is called again for its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)  # expect: CL411
        self.norm = nn.BatchNorm2d(32)
        self.neck = nn.Conv2d(32, 32, 3, padding=1)  # expect: CL411
        self.boxes = nn.Conv2d(32, 4, 1)
        self.scores = nn.Conv2d(32, 10, 1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.neck(x)))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = torch.relu(self.stem(x)) + torch.sigmoid(self.stem(x))
        return self.boxes(self.features(y)), self.scores(self.features(y))
