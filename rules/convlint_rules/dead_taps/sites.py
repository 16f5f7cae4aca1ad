"""A convolution and the taps of it that read data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from convlint_rules.dead_taps.borders import Border, border_of
from convlint_rules.dead_taps.taps import Axis, axes_of, cropped

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node


@dataclass(frozen=True, slots=True)
class Taps:
    """A convolution, its axes, and the taps that it needs; all of them where none is dead."""

    anchor: str
    nodes: tuple[str, ...]
    border: Border
    axes: tuple[Axis, ...]
    kept: tuple[range, ...]

    @property
    def op(self) -> ir.Conv:
        """The convolution, padded by all the zeros around what it reads."""
        return self.border.op

    @property
    def dead(self) -> bool:
        """Whether taps may go without a change of the function."""
        return math.prod(map(len, self.kept)) < self.op.taps

    @property
    def share(self) -> float:
        """The share of the products that read data."""
        return math.prod(axis.share for axis in self.axes)

    @property
    def new(self) -> ir.Conv:
        """The convolution with the taps it needs; with the busiest one where none is dead."""
        kept = self.kept if self.dead else tuple(axis.busiest for axis in self.axes)
        return cropped(self.op, self.axes, kept)


def taps_of(graph: ModelGraph, node: Node) -> Taps | None:
    """Return the taps of a convolution; None for other nodes and where nothing is computed."""
    if not isinstance(node.op, ir.Conv) or not node.output.elements:
        return None
    border = border_of(graph, node, node.op)
    axes = axes_of(border.op, graph.spec(border.source).shape, node.output.shape)
    kept = tuple(axis.kept for axis in axes)
    return Taps(node.id, (node.id,), border, axes, kept)
