"""Batch norms, and the layers that read them through nothing but moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint.analysis import labels as lb
from convlint.analysis.labels import Labels
from convlint.analysis.movement import move
from convlint.analysis.rescaling import (
    channel_axis,
    has_own_weight,
    is_copy,
    is_plain_batch_norm,
    way_back,
)
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

_LOST = -1
_MOVES = (
    ir.Reshape, ir.Permute, ir.Slice, ir.Flip, ir.Gather, ir.ChannelShuffle, ir.PixelShuffle,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reader:
    """A layer; its input channel i is channel ``channels[i]`` of the norm, () where it is lost."""

    node: str
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch norm that only convolutions and linear layers read."""

    anchor: str
    nodes: tuple[str, ...]
    readers: tuple[Reader, ...]


def folded(graph: ModelGraph) -> Iterator[Folded]:
    """Yield the batch norms that no layer before them could hold and only such layers read."""
    for node in graph:
        if not is_plain_batch_norm(node) or _folds_backwards(graph, node):
            continue
        between, readers = _readers(graph, node)
        if readers:
            ids = {node.id, *between, *(reader.node for reader in readers)}
            nodes = tuple(sorted(ids, key=graph.order.__getitem__))
            yield Folded(node.id, nodes, tuple(readers))


def _folds_backwards(graph: ModelGraph, norm: Node) -> bool:
    """Tell whether a layer stands right before the norm, which alone reads it."""
    way = way_back(graph, norm.inputs[0], 1, lambda node: _keeps_channels(graph, node))
    if way is None or not isinstance(way.end.op, (ir.Conv, ir.Linear)):
        return False
    alone = all(len(graph.users(node)) == 1 for node in (way.end, *way.between))
    return alone and has_own_weight(way.end) and way.axis == channel_axis(way.end)


def _keeps_channels(graph: ModelGraph, node: Node) -> bool:
    return is_copy(graph, node) or isinstance(node.op, (ir.Reshape, ir.Permute))


def _readers(graph: ModelGraph, norm: Node) -> tuple[list[str], list[Reader]]:
    """Return what stands between, and the layers; none where anything else reads the norm."""
    channels = lb.along(1, range(norm.output.shape[1]))
    between: list[str] = []
    readers: list[Reader] = []
    waiting = [(norm, channels)]
    while waiting:
        source, value = waiting.pop()
        for user in graph.users(source):
            if isinstance(user.op, (ir.Conv, ir.Linear)) and user.inputs[0] == Ref(source.id):
                readers.append(Reader(user.id, _channels(graph, user, value)))
            elif _passes(graph, user):
                between.append(user.id)
                waiting.append((user, move(user, (value,), graph.input_specs(user), _LOST)[0]))
            else:
                return [], []
    return between, sorted(readers, key=lambda reader: graph.order[reader.node])


def _passes(graph: ModelGraph, node: Node) -> bool:
    """Tell what moves values, or averages those of one channel, so that a shift stays."""
    op = node.op
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        return False
    if isinstance(op, ir.Pool):
        return op.type == "avg" and not any(op.padding) and op.divisor is None
    if isinstance(op, ir.Gather):
        return op.indices is not None
    if isinstance(op, ir.Reduce):
        return op.fn == "mean"
    return is_copy(graph, node) or isinstance(op, (*_MOVES, ir.Upsample))


def _channels(graph: ModelGraph, layer: Node, value: Labels) -> tuple[int, ...]:
    """Return the norm's channel that each input channel of a layer is."""
    shape = graph.spec(layer.inputs[0]).shape
    axis = 1 if isinstance(layer.op, ir.Conv) else len(shape) - 1
    if value.dims == () and min(value.cells) >= 0:
        return value.cells * shape[axis]
    return value.cells if value.dims == (axis,) and min(value.cells) >= 0 else ()
