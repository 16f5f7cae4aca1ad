"""A first block that needs more than a microcontroller has."""
# ram: 256KiB

import torch
from torch import nn


class Early(nn.Module):
    """16 channels at 48x48 before the first stride: two such maps take 288 KiB in FP32."""

    def __init__(self) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(1, 3, 48, 48)
        self.stem = nn.Conv2d(3, 16, 3, padding=1)  # expect: CL503
        self.body = nn.Conv2d(16, 16, 3, padding=1)
        self.down = nn.MaxPool2d(4)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = self.down(self.body(x))
        return self.head(x.mean((2, 3)))
