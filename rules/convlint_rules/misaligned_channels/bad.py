"""Channel counts between two multiples of 8."""
# profile: gpu-fp16

import torch
from torch import nn


class Branches(nn.Module):
    """18 channels, as in HRNet-W18's first branch, computed as 24."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        self.enter = nn.Conv2d(64, 18, 3, padding=1)  # expect: CL501
        self.body = nn.Conv2d(18, 18, 3, padding=1)  # expect: CL501
        self.head = nn.Linear(18, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.enter(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.body(x)).mean((2, 3)))
