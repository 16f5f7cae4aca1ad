"""Probabilities that are used, or ordered along another axis."""

import torch
from torch import nn


class Used(nn.Module):
    """The probability of the best class is returned with it."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Conv2d(3, 8, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.classes(x).softmax(1)
        best, place = x.max(1)
        return best, place, x.argmax(1)


class OtherAxis(nn.Module):
    """A softmax over classes, of which the largest pixel is looked for; a ReLU has ties."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Conv2d(3, 8, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.classes(x)
        return x.softmax(1).flatten(2).argmax(2), x.softmax(1).argmax(3), torch.relu(x).argmax(1)
