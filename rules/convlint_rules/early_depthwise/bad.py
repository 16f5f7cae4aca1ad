"""An inverted residual on a 112x112 map."""
# profile: gpu-fp16

import torch
from torch import nn


class InvertedResidual(nn.Module):
    """1x1 to four times the channels, depthwise 3x3, 1x1 back."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.expand = nn.Conv2d(24, 96, 1, bias=False)
        self.norm = nn.BatchNorm2d(96)
        self.depthwise = nn.Conv2d(96, 96, 3, padding=1, groups=96, bias=False)  # expect: CL502
        self.project = nn.Conv2d(96, 24, 1, bias=False)
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.depthwise(torch.relu(self.norm(self.expand(x)))))
        return self.head((x + self.project(y)).mean((2, 3)))
