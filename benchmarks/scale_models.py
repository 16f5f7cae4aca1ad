"""Models of any size, in the shapes that networks have: see ``scale.py``."""

from __future__ import annotations

import torch
from torch import nn

WIDTH = 16


def conv(cin: int, cout: int, kernel: int = 3, **options: int) -> nn.Sequential:
    """Return a convolution, its norm and its activation."""
    layer = nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False, **options)
    return nn.Sequential(layer, nn.BatchNorm2d(cout), nn.ReLU())


def chain(size: int) -> nn.Module:
    """Return ``size`` convolutions in a row."""
    return nn.Sequential(conv(3, WIDTH), *(conv(WIDTH, WIDTH) for _ in range(size - 1)))


def biased(size: int) -> nn.Module:
    """Return ``size`` convolutions in a row, each with a bias that its norm takes away again."""
    layers: list[nn.Module] = []
    for place in range(size):
        layer = nn.Conv2d(WIDTH if place else 3, WIDTH, 3, padding=1)
        layers += [layer, nn.BatchNorm2d(WIDTH), nn.ReLU()]
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """A bottleneck that adds its input."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(64, WIDTH, 1), conv(WIDTH, WIDTH), conv(WIDTH, 64, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add."""
        return x + self.body(x)


def resnet(size: int) -> nn.Module:
    """Return ``size`` convolutions in residual blocks of three."""
    return nn.Sequential(conv(3, 64), *(Residual() for _ in range(size // 3)), nn.Flatten(2))


class Dense(nn.Module):
    """A layer that reads all before it: edges grow with the square of the layers."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.stem = conv(3, WIDTH)
        self.layers = nn.ModuleList(conv(WIDTH + 4 * n, 4) for n in range(size - 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Concatenate all, layer by layer."""
        parts = [self.stem(x)]
        for layer in self.layers:
            parts.append(layer(torch.cat(parts, 1)))
        return torch.cat(parts, 1)


def densenet(size: int) -> nn.Module:
    """Return one dense block of ``size`` convolutions."""
    return Dense(size)


class Mixed(nn.Module):
    """Every candidate of one edge of a cell, summed with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(7))
        self.choices = nn.ModuleList(
            [
                nn.Identity(),
                nn.MaxPool2d(3, 1, 1),
                nn.AvgPool2d(3, 1, 1),
                conv(WIDTH, WIDTH, 3, groups=WIDTH),
                conv(WIDTH, WIDTH, 5, groups=WIDTH),
                conv(WIDTH, WIDTH, 3),
                conv(WIDTH, WIDTH, 1),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sum the candidates."""
        return sum(w * choice(x) for w, choice in zip(self.weights, self.choices, strict=True))


class Cell(nn.Module):
    """Four states, each the sum of mixed edges from all before it; their concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.ModuleList(nn.ModuleList(Mixed() for _ in range(n)) for n in range(2, 6))
        self.reduce = conv(4 * WIDTH, WIDTH, 1)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Make the states from the outputs of the two cells before."""
        states = [a, b]
        for edges in self.edges:
            states.append(sum(edge(state) for edge, state in zip(edges, states, strict=True)))
        return self.reduce(torch.cat(states[2:], 1))


class Darts(nn.Module):
    """A supernet: cells that read the two before them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.stem = conv(3, WIDTH)
        self.cells = nn.ModuleList(Cell() for _ in range(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the cells."""
        before, last = self.stem(x), self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return last


def darts(size: int) -> nn.Module:
    """Return a supernet of ``size`` cells, 98 candidates each."""
    return Darts(size)
