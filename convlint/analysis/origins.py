"""Which channel of which tensor a layer's input channel is, where only data moved in between.

Elements are numbered at the tensors where the movement starts, and the numbers are followed
exactly through reshapes, permutations, slices, joins and copies, whatever spelling was used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from convlint.analysis import labels as lb
from convlint.analysis.labels import Labels
from convlint.analysis.movement import move
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

MOST_NODES = 64
"""Nodes of movement that are looked through before one layer."""

_LOST = -1
"""Stands for elements that are not one element of a source."""

_MOVES = (
    ir.Reshape, ir.Permute, ir.Slice, ir.Gather, ir.Expand, ir.Repeat, ir.Flip, ir.Roll, ir.Split,
    ir.Concat, ir.Stack, ir.PixelShuffle, ir.ChannelShuffle, ir.Identity,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """Input channel i of a layer is channel ``channels[i]`` of ``sources``, one after the other.

    ``moved`` are the nodes between, which nothing else reads; ``sizes`` the channels of each
    source. For a flattened source the channels are all its elements but the batch's.
    """

    sources: tuple[Ref, ...]
    sizes: tuple[int, ...]
    channels: tuple[int, ...]
    moved: frozenset[str]

    @property
    def total(self) -> int:
        """Channels of all sources."""
        return sum(self.sizes)

    @property
    def is_permutation(self) -> bool:
        """Every channel of the sources is read once, not all in their order."""
        count = range(self.total)
        return tuple(sorted(self.channels)) == tuple(count) != self.channels

    @property
    def reads_all(self) -> bool:
        """Every channel of the sources is read."""
        return len(set(self.channels)) == self.total


def origins(graph: ModelGraph, reader: Node, axis: int) -> Iterator[Origin]:
    """Yield the origins of what ``reader`` reads first, from the nearest on.

    ``axis`` is the one that the layer mixes; along all others the elements stand where they
    stood in the sources. Nodes that others read as well are sources, never passed.
    """
    target = reader.inputs[0]
    if not graph.spec(target).elements:
        return  # no detections, nothing to follow
    frontier, moved = {target}, {reader.id}
    for _ in range(MOST_NODES):
        node = _latest(graph, frontier, moved)
        if node is None:
            return
        moved.add(node.id)
        frontier = {ref for ref in frontier if ref.node != node.id} | set(node.inputs)
        nodes = frozenset(moved - {reader.id})
        sources = _in_order(graph, nodes, frontier)
        found = _follow(graph, nodes, sources, target, axis)
        if found is not None:
            yield found


def _latest(graph: ModelGraph, frontier: set[Ref], moved: set[str]) -> Node | None:
    """Return the last node of the frontier that only moves data and only for this layer."""
    nodes = (graph[ref.node] for ref in frontier)
    alone = [n for n in nodes if _passes(graph, n) and {u.id for u in graph.users(n)} <= moved]
    return max(alone, key=lambda node: graph.order[node.id], default=None)


def _passes(graph: ModelGraph, node: Node) -> bool:
    if isinstance(node.op, ir.Gather) and (node.op.indices is None or len(node.inputs) > 1):
        return False
    specs = (*graph.input_specs(node), *node.outputs)
    return isinstance(node.op, _MOVES) and len({spec.dtype for spec in specs}) == 1


def _in_order(graph: ModelGraph, moved: frozenset[str], frontier: set[Ref]) -> tuple[Ref, ...]:
    """Return the sources in the order in which the moved nodes read them."""
    order = sorted(moved, key=graph.order.__getitem__)
    reads = dict.fromkeys(ref for key in order for ref in graph[key].inputs)
    return tuple(ref for ref in reads if ref in frontier)


def _follow(
    graph: ModelGraph, moved: frozenset[str], sources: tuple[Ref, ...], target: Ref, axis: int
) -> Origin | None:
    shape = graph.spec(target).shape
    shapes = [graph.spec(ref).shape for ref in sources]
    flat = any(len(s) != len(shape) for s in shapes)
    if flat:
        return _flattened(graph, moved, sources, target)
    others = [d for d in range(len(shape)) if d != axis]
    if any(s[d] != shape[d] for s in shapes for d in others):
        return None
    for dim in others:
        starts = dict.fromkeys(sources, lb.along(dim, range(shape[dim])).simplified())
        if not _stays(_run(graph, moved, starts, target), dim, shape[dim]):
            return None
    sizes = tuple(s[axis] for s in shapes)
    starts, before = {}, 0
    for ref, size in zip(sources, sizes, strict=True):
        starts[ref] = lb.along(axis, range(before, before + size)).simplified()
        before += size
    channels = _cells(_run(graph, moved, starts, target), axis, shape[axis])
    return None if channels is None else Origin(sources, sizes, channels, moved)


def _flattened(
    graph: ModelGraph, moved: frozenset[str], sources: tuple[Ref, ...], target: Ref
) -> Origin | None:
    """Follow every element but the batch's of one map into the features of a matrix."""
    shape, whole = graph.spec(target).shape, graph.spec(sources[0]).shape
    size = math.prod(whole[1:])
    fits = len(sources) == 1 and len(shape) == 2 < len(whole) and shape == (whole[0], size)
    if not fits or not 0 < size <= lb.MOST_CELLS:
        return None
    batch = lb.along(0, range(whole[0])).simplified()
    if not _stays(_run(graph, moved, {sources[0]: batch}, target), 0, whole[0]):
        return None
    start = Labels(tuple(range(1, len(whole))), whole[1:], tuple(range(size))).simplified()
    channels = _cells(_run(graph, moved, {sources[0]: start}, target), 1, size)
    return None if channels is None else Origin(sources, (size,), channels, moved)


def _run(
    graph: ModelGraph, moved: frozenset[str], starts: dict[Ref, Labels], target: Ref
) -> Labels:
    """Return the numbers of the target's elements; moved values are never merged."""
    values = dict(starts)
    for key in sorted(moved, key=graph.order.__getitem__):
        node = graph[key]
        read = tuple(values[ref] for ref in node.inputs)
        for place, value in enumerate(move(node, read, graph.input_specs(node), _LOST)):
            values.setdefault(Ref(node.id, place), value)
    return values[target]


def _cells(labels: Labels, axis: int, size: int) -> tuple[int, ...] | None:
    """Return the numbers along the only axis on which they vary; None where any is lost."""
    if labels.dims not in ((axis,), ()) or min(labels.cells) < 0:
        return None
    return labels.cells if labels.dims else labels.cells * size


def _stays(labels: Labels, dim: int, size: int) -> bool:
    """Tell whether the numbers along an axis are still those of the positions."""
    return _cells(labels, dim, size) == tuple(range(size))
