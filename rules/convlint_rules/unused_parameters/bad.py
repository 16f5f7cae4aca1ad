"""Weights that inference carries along, and an output that it computes for nobody."""
# outputs: out

import torch
from torch import nn


class Auxiliary(nn.Module):
    """A classifier halfway up that only training calls, and layers that nobody calls any more."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4, padding=1)
        self.body = nn.Conv2d(32, 64, 3, stride=4, padding=1)
        self.aux = nn.Sequential(  # expect: CL410
            nn.Conv2d(32, 64, 1), nn.BatchNorm2d(64), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.old = nn.ModuleList(nn.Conv2d(64, 64, 3) for _ in range(2))  # expect: CL410
        self.scale = nn.Parameter(torch.ones(64))
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor | None]:
        x = torch.relu(self.stem(x))
        aux = self.aux(x) if self.training else None
        x = torch.relu(self.body(x)) * self.scale.view(1, -1, 1, 1)
        return {"out": self.head(x.mean((2, 3))), "aux": aux}


class Skipped(nn.Module):
    """A block built for every level, of which the last one is never reached."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        for width in (8, 16, 32):
            self.levels.append(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1))  # expect: CL410
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.stem(x)
        for level in self.levels[:2]:
            x = torch.relu(level(x))
        return {"out": self.head(x.mean((2, 3)))}


class Deep(nn.Module):
    """A second classifier for the loss of training, which forward runs every time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.body = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.head = nn.Conv2d(64, 5, 1)
        self.aux = nn.Sequential(  # expect: CL410
            nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.Conv2d(32, 5, 1)
        )

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        early = torch.relu(self.stem(x))
        late = torch.relu(self.body(early))
        return {"out": self.head(late), "aux": self.aux(early)}
