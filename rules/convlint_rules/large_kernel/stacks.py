"""What a large kernel becomes: one dilated 3x3, or a stack of 3x3."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from convlint.analysis import drafting, neighbours
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

WIDTHS: dict[str, Callable[[ir.Conv], int]] = {
    "min": lambda op: min(op.in_channels, op.out_channels),
    "in": lambda op: op.in_channels,
    "out": lambda op: op.out_channels,
}


def dilated(op: ir.Conv) -> ir.Conv:
    """Return the 3-tap conv with the extent of ``op``; one less on an axis of even extent.

    Axes with one tap stay as they are. Stride and output shape stay; an even axis gives up
    one position of padding (or one row of the input) for it.
    """
    kernel = tuple(min(taps, 3) for taps in op.kernel)
    dilation = tuple((taps - 1) // 2 if taps > 1 else 1 for taps in op.kernel)
    padding = tuple(
        (before, after - (taps % 2 == 0))
        for (before, after), taps in zip(op.padding, op.kernel, strict=True)
    )
    return msgspec.structs.replace(op, kernel=kernel, dilation=dilation, padding=padding)


def is_even(op: ir.Conv) -> bool:
    """Tell whether any axis has an even number of taps, which no dilated 3-tap conv covers."""
    return any(taps % 2 == 0 for taps in op.kernel)


def stack(op: ir.Conv, width: int) -> tuple[ir.Conv, ...] | None:
    """Return the 3-tap convs that cover ``op`` together, or None where none has its shape.

    The stride is in the first. ``width`` is the number of channels between them.
    """
    depths = {(taps - 1) // 2 for taps in op.kernel if taps > 1}
    if len(depths) != 1 or is_even(op):
        return None
    (depth,) = depths
    paddings = [
        _share(side, depth, stride) if taps > 1 else [side] + [0] * (depth - 1)
        for sides, stride, taps in zip(op.padding, op.stride, op.kernel, strict=True)
        for side in sides
    ]
    if any(part is None for part in paddings):
        return None
    kernel = tuple(min(taps, 3) for taps in op.kernel)
    convs = []
    for place in range(depth):
        pads = [part[place] for part in paddings if part is not None]
        convs.append(
            msgspec.structs.replace(
                op,
                in_channels=width if place else op.in_channels,
                out_channels=op.out_channels if place == depth - 1 else width,
                kernel=kernel,
                stride=(1,) * len(kernel) if place else op.stride,
                padding=tuple(zip(pads[::2], pads[1::2], strict=True)),
            )
        )
    return tuple(convs)


def _share(padding: int, depth: int, stride: int) -> list[int] | None:
    """Split the padding of one side over the stack: 1 for each later conv, the rest first."""
    later = [1] * min(max(padding, 0), depth - 1)
    if stride > 1 and len(later) < depth - 1:
        return None
    later = [0] * (depth - 1 - len(later)) + later
    return [padding - sum(later), *later]


def draft_stack(graph: ModelGraph, node: Node, convs: tuple[ir.Conv, ...]) -> tuple[Node, ...]:
    """Return the stack as nodes in the place of ``node``, an activation between each two.

    The activation is the one that follows ``node`` in the model, else a ReLU.
    """
    fn = neighbours.activation_after(graph, node) or "relu"
    made: list[Node] = []
    source = node.inputs[0]
    shape = graph.spec(source).shape
    for place, op in enumerate(convs):
        conv = drafting.draft_conv(node, f"stack{place}", op, source, shape)
        made.append(conv)
        source, shape = ir.Ref(conv.id), conv.output.shape
        if place < len(convs) - 1:
            between = ir.Activation(fn)
            made.append(drafting.draft(node, f"act{place}", between, source, conv.output))
            source = ir.Ref(made[-1].id)
    return tuple(made)


def weights(convs: tuple[ir.Conv, ...]) -> int:
    """Return the number of weights, biases not counted."""
    return sum(op.out_channels * op.in_channels // op.groups * math.prod(op.kernel) for op in convs)
