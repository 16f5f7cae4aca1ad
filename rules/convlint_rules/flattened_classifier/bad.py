"""Classifiers on flattened maps."""

import torch
from torch import nn


class VGGLike(nn.Module):
    """A 7x7 map of 128 channels flattened into a wide linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=4, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(128 * 7 * 7, 512),  # expect: CL303
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(512, 100),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class Waves(nn.Module):
    """The same on a sequence, flattened by a view."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 32, 9, stride=2, padding=4)
        self.pool = nn.AdaptiveAvgPool1d(256)
        self.head = nn.Linear(32 * 256, 128)  # expect: CL303

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv(x)))
        return self.head(x.view(x.shape[0], -1))
