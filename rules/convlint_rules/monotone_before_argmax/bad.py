"""Probabilities that nobody reads."""

import torch
from torch import nn


class Segmenter(nn.Module):
    """A segmentation net that returns the class of every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.classes = nn.Conv2d(16, 8, 1)
        self.softmax = nn.Softmax(dim=1)  # expect: CL424

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.classes(torch.relu(self.conv(x)))
        return self.softmax(x).argmax(1)


class Peaks(nn.Module):
    """Keypoints: the places of the five largest values of a sigmoid map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.heat = nn.Conv2d(16, 4, 1)
        self.squash = nn.Sigmoid()  # expect: CL424

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heat = self.squash(self.heat(torch.relu(self.conv(x))))
        return heat.flatten(2).topk(5)[1]
