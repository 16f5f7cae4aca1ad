"""What a convolution reads once the zeros that are put around it in a Pad count as its padding."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


@dataclass(frozen=True, slots=True)
class Border:
    """The map under the Pads, the convolution that pads it by all their zeros, and those Pads.

    ``pads`` are ids, the one that the convolution reads first; none where no Pad of zeros is there.
    """

    source: Ref
    op: ir.Conv
    pads: tuple[str, ...] = ()


def border_of(graph: ModelGraph, node: Node, op: ir.Conv) -> Border:
    """Return what ``node`` reads, looking through Pads of zeros where that is the same."""
    bare = not any(side for sides in op.padding for side in sides)
    border = Border(node.inputs[0], op)
    if op.transposed or not (bare or op.padding_mode == "zeros"):
        return border
    axes = len(op.kernel)
    while (inner := _zeros(graph[border.source.node], axes)) is not None:
        padding = _joined(inner, border.op.padding)
        if padding is None:
            break
        pad = graph[border.source.node]
        new = msgspec.structs.replace(
            border.op, padding=padding, padding_mode="zeros", padding_word=""
        )
        border = Border(pad.inputs[0], new, (*border.pads, pad.id))
    return border


def _zeros(node: Node, axes: int) -> ir.Pairs | None:
    """Return by how much a Pad of zeros pads each spatial axis; None for anything else."""
    op = node.op
    if not isinstance(op, ir.Pad) or op.mode != "constant" or op.value != 0:
        return None
    others = op.amounts[:-axes]
    return op.amounts[-axes:] if len(others) == 2 and not any(map(any, others)) else None


def _joined(inner: ir.Pairs, outer: ir.Pairs) -> ir.Pairs | None:
    """Return both paddings as one; None where zeros take the place of what was cropped off."""
    axes = tuple(zip(inner, outer, strict=True))
    if any(first < 0 < second for pair in axes for first, second in zip(*pair, strict=True)):
        return None
    return tuple((a[0] + b[0], a[1] + b[1]) for a, b in axes)


def uneven(padding: ir.Pairs) -> bool:
    """Tell a padding that torch's convolutions cannot do themselves."""
    return any(before != after or before < 0 for before, after in padding)


def unread(graph: ModelGraph, node: Node, border: Border) -> tuple[str, ...]:
    """Return the Pads that nobody reads once ``node`` reads the map under them."""
    gone = [node.id]
    for pad in border.pads:
        if any(user.id not in gone for user in graph.users(graph[pad])):
            break
        gone.append(pad)
    return tuple(gone[1:])
