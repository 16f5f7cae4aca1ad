"""Activations of the years before torch had them, and norms as papers write them."""

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


class TanhGELU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = x + 0.044715 * torch.pow(x, 3)
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * inner))  # expect: CL425


class LayerNorm2d(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]  # expect: CL425


class InstanceNorm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        var, mean = torch.var_mean(x, dim=(2, 3), unbiased=False, keepdim=True)
        return (x - mean) * torch.rsqrt(var + 1e-5)  # expect: CL425


class RMSNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(2).transpose(1, 2)
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale  # expect: CL425


class Net(nn.Module):
    """One conv before each."""

    def __init__(self) -> None:
        super().__init__()
        kinds = (Swish, Mish, HSwish, HSigmoid, GELU, TanhGELU, InstanceNorm)
        self.stem = nn.Conv2d(3, 16, 4, stride=4)
        self.steps = nn.Sequential(*(self.step(kind()) for kind in kinds))
        self.last = self.step(LayerNorm2d(16))
        self.norm = RMSNorm(16)
        self.head = nn.Linear(16, 10)

    def step(self, activation: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(16, 16, 1), activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.last(self.steps(self.stem(x)))).mean(1))
