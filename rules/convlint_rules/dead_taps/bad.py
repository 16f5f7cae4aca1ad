"""Kernels that are larger than what they read."""

import torch
from torch import nn
from torch.nn import functional as F


class Pyramid(nn.Module):
    """Dilated branches on a 14x14 map: at 18 only the middle tap reads data, at 12 little does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 16, stride=16)
        self.near = nn.Conv2d(64, 32, 3, padding=3, dilation=3)
        self.far = nn.Conv2d(64, 32, 3, padding=12, dilation=12)  # expect: CL102
        self.beyond = nn.Conv2d(64, 32, 3, padding=18, dilation=18, bias=False)  # expect: CL102
        self.head = nn.Conv2d(96, 10, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        branches = [self.near(x), self.far(x), self.beyond(x)]
        return self.head(torch.relu(torch.cat(branches, 1)))


class Tail(nn.Module):
    """A net made for large images: its last layers pad maps of 2x2 and 1x1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 112, stride=112)
        self.wide = nn.Conv2d(32, 64, 5, padding=2)  # expect: CL102
        self.down = nn.Conv2d(64, 64, 3, stride=2, padding=1)  # expect: CL102
        self.last = nn.Conv2d(64, 64, 3, padding=1)  # expect: CL102
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.wide(torch.relu(self.stem(x))))
        x = torch.relu(self.last(torch.relu(self.down(x))))
        return self.head(x.flatten(1))


def same(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Return the map with the padding of TensorFlow, as ports of its models compute it."""
    sides: list[int] = []
    for size in x.shape[2:]:
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides = [total // 2, total - total // 2, *sides]
    return F.pad(x, sides)


class Ported(nn.Module):
    """The zeros are put there in a call of their own, before a conv without padding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 112, stride=112)
        self.down = nn.Conv2d(64, 64, 5, stride=2)  # expect: CL102
        self.pad = nn.ZeroPad2d((2, 1, 2, 1))
        self.last = nn.Conv2d(64, 64, 3)  # expect: CL102
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.down(same(x, 5, 2)))
        x = torch.relu(self.last(self.pad(x)))
        return self.head(x.mean((2, 3)))
