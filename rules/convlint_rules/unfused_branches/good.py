"""Activations inside, other strides, other tensors, and a branch that is used elsewhere."""

import torch
from torch import nn


class Residual(nn.Module):
    """The body of a residual block is no linear branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.first = nn.Conv2d(32, 32, 3, padding=1)
        self.second = nn.Conv2d(32, 32, 3, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = self.second(torch.relu(self.first(x)))
        return self.head(torch.relu(x + y).mean((2, 3)))


class Pooled(nn.Module):
    """A branch with a pool, and one with an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.dense = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.AvgPool2d(3, 1, 1)
        self.point = nn.Conv2d(32, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = self.dense(x) + self.pool(x) + torch.relu(self.point(x))
        return self.head(torch.relu(x).mean((2, 3)))


class Tapped(nn.Module):
    """Both branches are returned as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.dense = nn.Conv2d(32, 32, 3, padding=1)
        self.point = nn.Conv2d(32, 32, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = torch.relu(self.stem(x))
        a, b = self.dense(x), self.point(x)
        return torch.relu(a + b), a, b
