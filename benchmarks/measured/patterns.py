"""The three swaps that change the function: dilated and stacked kernels, groups, separable convs."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from benchmarks.measured.rows import Maker, Swapped


def rows() -> Iterator[Swapped]:
    """Yield the rows, each against the dense layer of the same channels; a control first."""
    yield Swapped(
        "control",
        "dense 3x3 64->64 at 56x56",
        (("now", lambda: _conv(64)), ("the same again", lambda: _conv(64))),
        ((1, 64, 56, 56),),
    )
    yield from (_kernel(size) for size in (5, 7, 9))
    yield _groups(shuffled=False)
    yield _groups(shuffled=True)
    yield from (_separable(*at) for at in ((64, 56), (128, 28), (256, 14), (512, 7)))


def _conv(channels: int, size: int = 3, dilation: int = 1, groups: int = 1) -> nn.Sequential:
    """Return a convolution of the same extent with its norm and activation."""
    padding = dilation * (size - 1) // 2
    conv = nn.Conv2d(
        channels, channels, size, padding=padding, dilation=dilation, groups=groups, bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def _kernel(size: int) -> Swapped:
    reach = (size - 1) // 2
    return Swapped(
        f"kernel-{size}x{size}",
        f"dense {size}x{size} 64->64 at 56x56",
        (
            (f"dense {size}x{size}", lambda: _conv(64, size)),
            (f"3x3 with dilation {reach}", lambda: _conv(64, dilation=reach)),
            (f"{reach} stacked 3x3", lambda: nn.Sequential(*(_conv(64) for _ in range(reach)))),
        ),
        ((1, 64, 56, 56),),
    )


def _groups(*, shuffled: bool) -> Swapped:
    def grouped(groups: int) -> Maker:
        def make() -> nn.Module:
            mixed = (nn.ChannelShuffle(groups),) if shuffled else ()
            return nn.Sequential(_conv(128, groups=groups), *mixed)

        return make

    word = ", shuffled" if shuffled else ""
    return Swapped(
        "groups-shuffled" if shuffled else "groups",
        "dense 3x3 128->128 at 28x28",
        (
            ("dense 3x3", lambda: _conv(128)),
            *((f"{groups} groups{word}", grouped(groups)) for groups in (2, 4, 8, 16)),
        ),
        ((1, 128, 28, 28),),
    )


def _separable(channels: int, side: int) -> Swapped:
    return Swapped(
        f"separable-{channels}",
        f"dense 3x3 {channels}->{channels} at {side}x{side}",
        (
            ("dense 3x3", lambda: _conv(channels)),
            (
                "depthwise 3x3 + 1x1",
                lambda: nn.Sequential(_conv(channels, groups=channels), _conv(channels, 1)),
            ),
        ),
        ((1, channels, side, side),),
    )
