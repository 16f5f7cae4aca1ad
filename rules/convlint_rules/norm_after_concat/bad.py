"""A batch norm over what two layers made."""

import torch
from torch import nn


class CrossStage(nn.Module):
    """A cross-stage block: one norm over a deep and a short path, joined."""

    def __init__(self) -> None:
        super().__init__()
        channels, half = 64, 32
        self.stem = nn.Conv2d(3, channels, 4, stride=4)
        self.cv1 = nn.Conv2d(channels, half, 1)
        self.inner = nn.Conv2d(half, half, 3, padding=1)
        self.cv2 = nn.Conv2d(channels, half, 1, bias=False)
        self.cv3 = nn.Conv2d(half, half, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)  # expect: CL415
        self.cv4 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        y = self.cv3(torch.relu(self.inner(torch.relu(self.cv1(x)))))
        return self.cv4(torch.relu(self.bn(torch.cat([y, self.cv2(x)], 1))))
