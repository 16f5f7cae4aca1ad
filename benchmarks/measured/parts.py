"""Parts of published models that no zoo builds alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class _Out(nn.Module):
    """A segmentation model that gives its main output alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model(x)["out"]
        return found


def out_of(model: nn.Module) -> nn.Module:
    """Return a torchvision segmentation model whose output is one tensor."""
    return _Out(model)


def smp(decoder: str, encoder: str) -> nn.Module:
    """Return a model of segmentation_models_pytorch without weights."""
    import segmentation_models_pytorch

    made: nn.Module = segmentation_models_pytorch.create_model(
        decoder, encoder, encoder_weights=None
    )
    return made


def bilinear_step() -> nn.Module:
    """Return a decoder's step: enlarge, then reduce the channels."""
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(up, nn.Conv2d(256, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())


def nearest_step() -> nn.Module:
    """Return a decoder's step: enlarge by repeating, then convolve."""
    up = nn.Upsample(scale_factor=2, mode="nearest")
    conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    return nn.Sequential(up, conv, nn.BatchNorm2d(64), nn.ReLU())


class SegFormerHead(nn.Module):
    """Linear layers on four scales, enlarged to the largest, concatenated, mixed by a 1x1."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 160, 256), width: int = 256) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Conv2d(c, width, 1) for c in widths)
        self.mix = nn.Conv2d(4 * width, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.classify = nn.Conv2d(width, 19, 1)

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        """Return the classes of each position of the largest map."""
        first, *rest = (embed(each) for embed, each in zip(self.embed, maps, strict=True))
        size = first.shape[2:]
        same = [first]
        for each in rest:
            same.append(F.interpolate(each, size=size, mode="bilinear", align_corners=False))
        mixed = torch.relu(self.norm(self.mix(torch.cat(same[::-1], dim=1))))
        classes: torch.Tensor = self.classify(mixed)
        return classes


class Exchange(nn.Module):
    """The sums over four resolutions at the end of an HRNet."""

    def __init__(self, hrnet: Any) -> None:
        super().__init__()
        self.last = hrnet.stage4[-1]
        self.last.branches = nn.ModuleList(nn.Identity() for _ in self.last.branches)

    def forward(self, *maps: torch.Tensor) -> list[torch.Tensor]:
        """Return the four mixed maps."""
        found: list[torch.Tensor] = self.last(list(maps))
        return found


class Twice(nn.Module):
    """A convolution that is called twice on one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(64, 64, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one call gated by the other."""
        return torch.relu(self.conv(x)) * torch.sigmoid(self.conv(x))


class Pyramid(nn.Module):
    """YOLOv3-SPP's three max pools side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))
        self.mix = nn.Conv2d(4 * 256, 256, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the pools of three sizes, mixed."""
        mixed: torch.Tensor = self.mix(torch.cat([x, *(pool(x) for pool in self.pools)], 1))
        return mixed


class _Bottleneck(nn.Module):
    """A residual block whose stride is in its first 1x1, as in the first ResNets."""

    def __init__(self, cin: int, width: int, stride: int = 1) -> None:
        super().__init__()
        cout = 4 * width
        self.main = nn.Sequential(
            nn.Conv2d(cin, width, 1, stride, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, cout, 1, bias=False),
            nn.BatchNorm2d(cout),
        )
        self.short = (
            nn.Identity()
            if cin == cout
            else nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.main(x) + self.short(x))


class StrideFirst(nn.Sequential):
    """The last block of a stage and the first of the next."""

    def __init__(self) -> None:
        super().__init__(_Bottleneck(256, 64), _Bottleneck(256, 128, stride=2))


class Focus(nn.Module):
    """Four strided slices, concatenated and convolved."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 32, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map at half the resolution."""
        slices = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return F.silu(self.norm(self.conv(torch.cat(slices, 1))))


class Causal(nn.Module):
    """A dilated convolution padded on both sides, its end cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(25, 25, 7, padding=6 * 64, dilation=64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a sequence of the same length."""
        return torch.relu(self.conv(x)[:, :, : -6 * 64].contiguous())


class HalfRead(nn.Module):
    """A convolution half of whose channels nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(64, 128, 3, padding=1)
        self.next = nn.Conv2d(64, 64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the first half of the channels gives."""
        return torch.relu(self.next(torch.relu(self.conv(x)[:, :64])))


class BottleneckCSP(nn.Module):
    """Two convolutions concatenated, then one norm over both."""

    def __init__(self, channels: int = 128) -> None:
        super().__init__()
        half = channels // 2
        self.first = nn.Conv2d(channels, half, 1, bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(half),
            nn.SiLU(),
            nn.Conv2d(half, half, 3, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.SiLU(),
            nn.Conv2d(half, half, 1, bias=False),
        )
        self.short = nn.Conv2d(channels, half, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.last = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return both ways, normed and mixed."""
        both = torch.cat([self.body(self.first(x)), self.short(x)], 1)
        mixed: torch.Tensor = self.last(F.leaky_relu(self.norm(both), 0.1))
        return mixed


class CoordConv(nn.Module):
    """A stem that also sees where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(5, 32, 7, stride=2, padding=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map convolved with its coordinates."""
        n, _, h, w = x.shape
        rows = torch.linspace(-1, 1, h, dtype=x.dtype).view(1, 1, h, 1).expand(n, 1, h, w)
        columns = torch.linspace(-1, 1, w, dtype=x.dtype).view(1, 1, 1, w).expand(n, 1, h, w)
        return torch.relu(self.conv(torch.cat([x, rows, columns], 1)))


class Grey(nn.Module):
    """A model for colour images on one channel."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the model's answer to three equal channels."""
        found: torch.Tensor = self.model(x.repeat(1, 3, 1, 1))
        return found


class Scaled(nn.Module):
    """A model that divides its input by the standard deviation itself."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the model's answer to the scaled image."""
        found: torch.Tensor = self.model(x / self.std)
        return found


class Labels(nn.Module):
    """A segmentation head that gives the class of each position."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Conv2d(64, 21, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class of each position."""
        return torch.softmax(self.classify(x), 1).argmax(1)


class HandSwish(nn.Module):
    """A hard-swish written out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(64, 64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map after the activation."""
        x = self.conv(x)
        return x * F.relu6(x + 3) / 6
