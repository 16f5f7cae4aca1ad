"""Which taps of a kernel read data along one axis, and how often."""

from __future__ import annotations

import math
from dataclasses import dataclass

from convlint.ir import nodes as ir


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a convolution on a map of ``size`` positions, of which it writes ``out``.

    Output o reads with tap t at position o * stride - before + t * dilation. The outputs of a
    transposed one are what its taps write to: there the roles of the two maps are exchanged.
    """

    kernel: int
    stride: int
    before: int
    dilation: int
    size: int
    out: int

    def hits(self, tap: int) -> int:
        """Return for how many outputs the tap reads data and not padding."""
        offset = tap * self.dilation - self.before
        first = max(0, math.ceil(-offset / self.stride))
        last = min(self.out - 1, (self.size - 1 - offset) // self.stride)
        return max(0, last - first + 1)

    @property
    def live(self) -> tuple[int, ...]:
        """The taps that ever read data."""
        return tuple(tap for tap in range(self.kernel) if self.hits(tap))

    @property
    def share(self) -> float:
        """The share of the products that have a factor of data, 0 to 1."""
        return sum(map(self.hits, range(self.kernel))) / (self.kernel * self.out)

    @property
    def kept(self) -> range:
        """The taps that a smaller kernel has to keep: those that live, and those between."""
        live = self.live
        if len(live) < 2:
            return range(live[0], live[0] + 1) if live else range(1)
        step = math.gcd(*(tap - live[0] for tap in live))
        return range(live[0], live[-1] + 1, step)

    @property
    def busiest(self) -> range:
        """The one tap that reads data most often, the middle one among equals."""
        middle = (self.kernel - 1) / 2
        best = max(range(self.kernel), key=lambda tap: (self.hits(tap), -abs(tap - middle)))
        return range(best, best + 1)


def axes_of(op: ir.Conv, source: ir.Ints, result: ir.Ints) -> tuple[Axis, ...]:
    """Return the spatial axes of ``op`` between maps of these shapes (N, C, ...)."""
    sizes = zip(source[2:], result[2:], strict=True)
    maps = [(out, size) if op.transposed else (size, out) for size, out in sizes]
    facts = zip(op.kernel, op.stride, op.padding, op.dilation, maps, strict=True)
    return tuple(Axis(k, s, p[0], d, *pair) for k, s, p, d, pair in facts)


def cropped(op: ir.Conv, axes: tuple[Axis, ...], kept: tuple[range, ...]) -> ir.Conv:
    """Return the convolution with these taps alone, which writes the same positions.

    The padding moves with the first tap; it is negative where positions are cut off.
    """
    dilation = [d * taps.step if len(taps) > 1 else 1 for d, taps in _pairs(op, kept)]
    padding = []
    for axis, taps, spread in zip(axes, kept, dilation, strict=True):
        before = axis.before - taps[0] * axis.dilation
        least = (axis.out - 1) * axis.stride + spread * (len(taps) - 1) + 1 - axis.size - before
        padding.append((before, min(max(before, least), least + axis.stride - 1)))
    return ir.Conv(
        op.in_channels,
        op.out_channels,
        tuple(map(len, kept)),
        op.stride,
        tuple(padding),
        tuple(dilation),
        op.groups,
        op.bias,
    )


def _pairs(op: ir.Conv, kept: tuple[range, ...]) -> zip[tuple[int, range]]:
    return zip(op.dilation, kept, strict=True)
