"""Convolutions of one tap that an average follows."""

import torch
from torch import nn


class Transition(nn.Module):
    """DenseNet's way to the next stage: norm, activation, 1x1 conv, average pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.norm = nn.BatchNorm2d(64)
        self.conv = nn.Conv2d(64, 32, 1, bias=False)  # expect: CL401
        self.pool = nn.AvgPool2d(2)
        self.next = nn.Conv2d(32, 32, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.conv(torch.relu(self.norm(self.stem(x)))))
        return torch.relu(self.next(x))


class ClassesPerPosition(nn.Module):
    """A classifier on every position whose results are averaged, through a norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.classify = nn.Sequential(
            nn.Dropout(0.2),
            nn.Conv2d(32, 100, 1),  # expect: CL401
            nn.BatchNorm2d(100),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classify(torch.relu(self.stem(x))).mean((2, 3))
