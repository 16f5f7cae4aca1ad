"""Biases that a norm takes out again."""

import torch
from torch import nn


def conv_bn(cin: int, cout: int) -> nn.Sequential:
    """A conv with the bias that nn.Conv2d has by default, and its norm."""
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1),  # expect: CL406
        nn.BatchNorm2d(cout),
        nn.ReLU(),
    )


class Biased(nn.Module):
    """The first convolutions of VGG with batch norm, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(conv_bn(3, 16), conv_bn(16, 16))
        self.pool = nn.MaxPool2d(4)
        self.stage2 = conv_bn(16, 32)
        self.hidden = nn.Linear(32, 64)  # expect: CL406
        self.norm = nn.BatchNorm1d(64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stage2(self.pool(self.stage1(x)))
        return self.head(torch.relu(self.norm(self.hidden(x.mean((2, 3))))))


class Style(nn.Module):
    """Instance norm, and group norm with one channel a group."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)  # expect: CL406
        self.norm = nn.InstanceNorm2d(16)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)  # expect: CL406
        self.each = nn.GroupNorm(8, 8)
        self.out = nn.Conv2d(8, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        return self.out(torch.relu(self.each(self.up(x))))
