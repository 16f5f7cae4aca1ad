"""A deep net on a small image."""

import torch
from torch import nn


class Deep(nn.Module):
    """Strides first: behind two of them a 3x3 sees 27 pixels, the next one everything."""

    def __init__(self) -> None:
        super().__init__()
        self.example_input_array = torch.zeros(1, 3, 32, 32)
        self.first = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.second = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.third = nn.Conv2d(64, 64, 3, stride=2, padding=1)
        self.fourth = nn.Conv2d(64, 64, 3, padding=1)
        self.fifth = nn.Conv2d(64, 64, 3, padding=1)
        self.sixth = nn.Conv2d(64, 64, 3, padding=1)  # expect: CL601
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in (self.first, self.second, self.third, self.fourth, self.fifth, self.sixth):
            x = torch.relu(conv(x))
        return self.head(x.mean((2, 3)))
