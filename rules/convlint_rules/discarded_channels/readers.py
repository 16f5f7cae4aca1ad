"""Which channels of a layer's result are read, through what stands between, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint.analysis import rescaling
from convlint.analysis.pointwise import between
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


@dataclass(frozen=True, slots=True)
class Reader:
    """A node that reads some channels: what it writes of them is ``output``."""

    node: str
    output: Ref
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """What is read of a layer: ``chain`` stands behind it, then ``readers``.

    ``kept`` are the channels that any of them reads; ``dead`` the nodes behind it whose results
    never reach the model's outputs.
    """

    axis: int
    chain: tuple[str, ...]
    readers: tuple[Reader, ...]
    kept: tuple[int, ...]
    dead: frozenset[str]


def read_of(graph: ModelGraph, node: Node) -> Read | None:
    """Return what is read of a convolution or a linear layer; None where all channels are."""
    axis = rescaling.channel_axis(node)
    useful = graph.once(_useful)
    if axis is None or isinstance(node.op, ir.Norm) or node.id not in useful:
        return None
    chain: list[str] = []
    end = node
    while True:
        users = [user for user in graph.users(end) if user.id in useful]
        if len(users) != 1 or not _passes(graph, users[0], axis):
            break
        end = users[0]
        chain.append(end.id)
    readers = [reader for user in users for reader in _readers(graph, end, user, axis, useful)]
    if not readers or len({r.node for r in readers}) < len(users):
        return None
    kept = tuple(sorted({channel for reader in readers for channel in reader.channels}))
    if len(kept) == node.output.shape[axis]:
        return None
    dead = _dead(graph, (node.id, *chain, *(user.id for user in users)), useful)
    return Read(axis, tuple(chain), tuple(readers), kept, dead)


def _useful(graph: ModelGraph) -> frozenset[str]:
    """Return the nodes that the model's outputs depend on."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.op, ir.Output) or node.id in found:
            found.add(node.id)
            found.update(ref.node for ref in node.inputs)
    return frozenset(found)


def _dead(graph: ModelGraph, near: tuple[str, ...], useful: frozenset[str]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [user for key in near for user in graph.users(graph[key])]
    while waiting:
        node = waiting.pop()
        if node.id not in useful and node.id not in found:
            found.add(node.id)
            waiting += graph.users(node)
    return frozenset(found)


def _passes(graph: ModelGraph, node: Node, axis: int) -> bool:
    """Tell an operation on each element alone that can be made on fewer channels."""
    if between(node) is None or graph.spec(node.inputs[0]) != node.output:
        return False
    if isinstance(node.op, ir.Norm):
        return axis == 1 and rescaling.is_plain_batch_norm(node)
    return all(param.elements == 1 for param in node.params)


def _readers(
    graph: ModelGraph, end: Node, user: Node, axis: int, useful: frozenset[str]
) -> Iterator[Reader]:
    """Yield what a slice, a split or an index reads; nothing where the node reads all."""
    op, size = user.op, end.output.shape[axis]
    if len(user.inputs) != 1:
        return
    if isinstance(op, ir.Slice):
        cut = next((part for part in op.slices if part.axis == axis), None)
        channels = range(size)[cut.start : cut.stop : cut.step] if cut else range(size)
        yield Reader(user.id, Ref(user.id), tuple(channels))
    elif isinstance(op, ir.Gather) and op.axis % len(end.output.shape) == axis and op.indices:
        yield Reader(user.id, Ref(user.id), tuple(index % size for index in op.indices))
    elif isinstance(op, ir.Split) and op.axis % len(end.output.shape) == axis:
        live = [u for u in graph.users(user) if u.id in useful]
        read = {ref.output for u in live for ref in u.inputs if ref.node == user.id}
        for output in sorted(read):
            start = sum(op.sizes[:output])
            channels = range(start, start + op.sizes[output])
            yield Reader(user.id, Ref(user.id, output), tuple(channels))
