"""Wide pointwise layers before global average pooling."""

import torch
from torch import nn


class Head(nn.Module):
    """MobileNetV2's head: 1x1 to many channels, norm, ReLU6, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=8, padding=1)
        self.depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.wide = nn.Conv2d(64, 512, 1, bias=False)  # expect: CL602
        self.norm = nn.BatchNorm2d(512)
        self.head = nn.Linear(512, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.stem(x))))
        x = nn.functional.relu6(self.norm(self.wide(x)))
        return self.head(x.mean((2, 3)))


class Scores(nn.Module):
    """SqueezeNet's classifier: 1x1 to the classes, ReLU, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=4, padding=1)
        self.classes = nn.Conv2d(64, 100, kernel_size=1)  # expect: CL602
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(torch.relu(self.classes(torch.relu(self.stem(x))))).flatten(1)
