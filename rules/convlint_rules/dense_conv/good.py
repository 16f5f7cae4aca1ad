"""Nothing to factor: separable layers, stems, prediction layers, Fused-MBConv, strips."""

import torch
from torch import nn


class Separable(nn.Module):
    """Depthwise and 1x1 everywhere, a dense stem on RGB, a dense 3x3 beside a depthwise one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.pointwise = nn.Conv2d(32, 64, 1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.stem(x))))
        return self.head(torch.relu(self.pointwise(x)).mean((2, 3)))


class FusedMBConv(nn.Module):
    """A 3x3 that expands for a linear 1x1, as in EfficientNetV2's early stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.expand = nn.Conv2d(24, 96, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(96)
        self.project = nn.Conv2d(96, 24, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(24)
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = nn.functional.silu(self.bn1(self.expand(x)))
        return self.head((x + self.bn2(self.project(y))).mean((2, 3)))


class Segmenter(nn.Module):
    """The prediction layer is a 3x3 to three channels; the strips are 1x3 and 3x1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.across = nn.Conv2d(32, 32, (1, 3), padding=(0, 1))
        self.down = nn.Conv2d(32, 32, (3, 1), padding=(1, 0))
        self.predict = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.down(self.across(torch.relu(self.stem(x)))))
        return self.predict(x)
