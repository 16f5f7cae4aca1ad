"""Writes into memory that other tensors share: ``x[:, :2] = y``, ``x[0].add_(1)``.

A ModelGraph has no memory, only values. After a write every tensor that shares the memory has
a new value; it is made where that tensor is next read. Which part was written follows from
where the views lie in their storage, however they were made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import fx

from convlint.ir import nodes as ir
from convlint.ir.nodes import Ref
from convlint.tracing.lowering.call import Call, record_of
from convlint.tracing.trace import View


@dataclass(frozen=True, slots=True)
class Region:
    """Positions ``start`` to ``stop`` of one axis, all of the others."""

    axis: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Write:
    """A value put into the memory that ``view`` covers, made by the fx node ``by``."""

    view: View
    value: Ref
    by: fx.Node


class Memory:
    """Which nodes share memory, and which of them were written to since they were read."""

    def __init__(self, graph: fx.Graph) -> None:
        self._order = {node: place for place, node in enumerate(graph.nodes)}
        self._sharing: dict[Any, list[fx.Node]] = defaultdict(list)
        self._stale: dict[fx.Node, list[Write]] = defaultdict(list)
        for node in graph.nodes:
            view = view_of(node)
            if view is not None:
                self._sharing[view.storage].append(node)

    def written(self, target: fx.Node, write: Write) -> None:
        """Note that the memory of ``target`` has new content."""
        for node in self._sharing[write.view.storage]:
            if node not in (target, write.by) and self._order[node] < self._order[write.by]:
                self._stale[node].append(write)

    def pending(self, node: fx.Node) -> list[Write]:
        """Return, once, what was written to the memory of ``node``."""
        return self._stale.pop(node, [])


def view_of(node: fx.Node) -> View | None:
    """Return where the tensor that ``node`` makes lies; None if it makes none or several."""
    if node.op == "output":
        return None
    record = record_of(node)
    return record.view if len(record.outputs) == 1 else None


def region_of(whole: View, part: View) -> Region | None:
    """Return which positions of one axis of ``whole`` are ``part``; None where it is not so."""
    if whole.stride != part.stride or len(whole.shape) != len(part.shape):
        return None
    differing = [a for a, n in enumerate(whole.shape) if part.shape[a] != n]
    if len(differing) != 1:
        return None
    axis = differing[0]
    start, rest = divmod(part.offset - whole.offset, max(1, whole.stride[axis]))
    stop = start + part.shape[axis]
    fits = rest == 0 and start >= 0 and stop <= whole.shape[axis]
    return Region(axis, start, stop) if fits else None


def assigned_region(call: Call) -> Region | None:
    """Return which positions of one axis ``x[index] = value`` sets; None where it is not so."""
    index = call.args[1]
    items = list(index) if isinstance(index, tuple) else [index]
    if any(item is None for item in items):
        return None
    rank = len(call.shape)
    if Ellipsis in [item for item in items if not isinstance(item, fx.Node)]:
        place = next(i for i, item in enumerate(items) if item is Ellipsis)
        items[place : place + 1] = [slice(None)] * (rank - len(items) + 1)
    found = list(_cuts(items, call.shape))
    return found[0] if len(found) == 1 else None


def _cuts(items: list[Any], shape: tuple[int, ...]) -> Iterator[Region | None]:
    for axis, item in enumerate(items):
        if not isinstance(item, slice):
            yield None
            continue
        try:
            start, stop, step = item.indices(shape[axis])
        except TypeError:
            yield None
            continue
        if (start, stop, step) != (0, shape[axis], 1):
            yield Region(axis, start, stop) if step == 1 and stop > start else None


def rest_of(region: Region, size: int) -> tuple[ir.SliceAxis | None, ir.SliceAxis | None]:
    """Return the slices before and after a region of an axis, None where nothing is left."""
    before = ir.SliceAxis(region.axis, 0, region.start) if region.start else None
    after = ir.SliceAxis(region.axis, region.stop, size) if region.stop < size else None
    return before, after
