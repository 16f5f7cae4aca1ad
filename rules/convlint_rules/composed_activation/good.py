"""Activations and norms as torch has them, and products that are none."""

import torch
import torch.nn.functional as F
from torch import nn


class Fused(nn.Module):
    """One call each; a gate of another map; a sigmoid that is read again; another slope; norms."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, stride=4)
        self.gate = nn.Conv2d(16, 16, 1)
        self.norm, self.rms = nn.LayerNorm(16), nn.RMSNorm(16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.silu(self.stem(x))
        x = F.hardswish(F.mish(x))
        x = x * torch.sigmoid(self.gate(x))
        x = x * torch.sigmoid(1.702 * x)
        x = F.instance_norm(F.gelu(x, approximate="tanh"))
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        mean, std = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True)
        x = (x - mean) / (std + 1e-5)
        mask = torch.sigmoid(x)
        return self.head(self.rms((x * mask).mean((2, 3)))), mask
