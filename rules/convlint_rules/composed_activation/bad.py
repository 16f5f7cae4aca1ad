"""Activations of the years before torch had them."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Swish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)  # expect: CL425


class Mish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tanh(F.softplus(x))  # expect: CL425


class HSwish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * F.relu6(x + 3) / 6  # expect: CL425


class HSigmoid(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu6(x + 3.0, inplace=True) / 6.0  # expect: CL425


class GELU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))  # expect: CL425


class Net(nn.Module):
    """One conv before each."""

    def __init__(self) -> None:
        super().__init__()
        kinds = (Swish, Mish, HSwish, HSigmoid, GELU)
        self.stem = nn.Conv2d(3, 16, 4, stride=4)
        self.steps = nn.Sequential(*(self.step(kind()) for kind in kinds))
        self.head = nn.Linear(16, 10)

    def step(self, activation: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(16, 16, 1), activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.steps(self.stem(x)).mean((2, 3)))
