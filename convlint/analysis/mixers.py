"""Layers that mix all channels of what they read: dense convolutions and linear layers."""

from __future__ import annotations

import msgspec

from convlint.analysis import drafting
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref


def mixed_axis(graph: ModelGraph, node: Node) -> int | None:
    """Return the axis of its input that a dense conv or a linear layer mixes; None for others."""
    op = node.op
    if isinstance(op, ir.Conv):
        return 1 if op.groups == 1 and not op.computed_weight else None
    if isinstance(op, ir.Linear) and not op.computed_weight:
        return len(graph.spec(node.inputs[0]).shape) - 1
    return None


def read_channels(node: Node) -> int:
    """Return the input channels of a conv, the input features of a linear layer."""
    op = node.op
    assert isinstance(op, (ir.Conv, ir.Linear))
    return op.in_channels if isinstance(op, ir.Conv) else op.in_features


def with_channels(
    node: Node, suffix: str, source: Ref, shape: tuple[int, ...], channels: int
) -> Node:
    """Return a new layer like ``node`` with weights for other channels, reading ``source``."""
    op = node.op
    if isinstance(op, ir.Conv):
        new = msgspec.structs.replace(op, in_channels=channels)
        return drafting.draft_conv(node, suffix, new, source, shape)
    assert isinstance(op, ir.Linear)
    return msgspec.structs.replace(
        node,
        id=f"{node.id}~{suffix}",
        op=msgspec.structs.replace(op, in_features=channels),
        inputs=(source, *node.inputs[1:]),
        params=tuple(_param(node, param, suffix, channels) for param in node.params),
    )


def _param(node: Node, param: Param, suffix: str, channels: int) -> Param:
    stem = weight_of(node) or param
    shape = (param.shape[0], channels) if param.role == "weight" else param.shape
    return msgspec.structs.replace(
        param,
        name=f"{stem.name}.{suffix}.{param.role}",
        storage=f"{stem.storage}~{suffix}.{param.role}",
        shape=shape,
    )


def weight_of(node: Node) -> Param | None:
    """Return the weight of a layer; None where it is computed in forward."""
    return next((param for param in node.params if param.role == "weight"), None)


def sharing(graph: ModelGraph, node: Node) -> tuple[Node, ...]:
    """Return all nodes that use the weight of ``node``, itself among them."""
    weight = weight_of(node)
    if weight is None:
        return (node,)
    return graph.holders([weight.storage])


def words(node: Node) -> str:
    """Return "3x3 conv 16->32" or "linear 512->10"."""
    op = node.op
    if isinstance(op, ir.Conv):
        kind = "transposed conv" if op.transposed else "conv"
        return f"{drafting.extent(op.kernel)} {kind} {drafting.channels(op)}"
    assert isinstance(op, ir.Linear)
    return f"linear {op.in_features}->{op.out_features}"


def code(node: Node) -> str:
    """Return the call that builds the layer, or the functional call."""
    if isinstance(node.op, ir.Conv):
        return drafting.chain_code(node, node.op)
    assert isinstance(node.op, ir.Linear)
    bias = "" if node.op.bias else ", bias=False"
    return f"nn.Linear({node.op.in_features}, {node.op.out_features}{bias})"


MOST_RUNS = 6
"""Runs of numbers that are written out before the rest becomes "..."."""


def indices(numbers: tuple[int, ...]) -> str:
    """Return code for a tensor of these numbers; what has no short form is cut with "..."."""
    count = len(numbers)
    if numbers == tuple(range(count - 1, -1, -1)):
        return f"torch.arange({count}).flip(0)"
    step = numbers[1] - numbers[0] if count > 3 else 0
    if step > 1 and count % step == 0:
        rows = count // step
        turned = tuple(row * step + column for column in range(step) for row in range(rows))
        if turned == numbers:
            return f"torch.arange({count}).view({rows}, {step}).T.flatten()"
    return f"torch.tensor([{_runs(numbers)}])"


def _runs(numbers: tuple[int, ...]) -> str:
    """Return numbers as a list's inside, runs of four or more as ranges: "*range(16), 3, 1"."""
    parts: list[str] = []
    start = 0
    for place in range(1, len(numbers) + 1):
        if place < len(numbers) and numbers[place] == numbers[place - 1] + 1:
            continue
        first, last = numbers[start], numbers[place - 1]
        if last - first < 3:
            parts += map(str, range(first, last + 1))
        else:
            parts.append(f"*range({first}, {last + 1})" if first else f"*range({last + 1})")
        start = place
    cut = parts[:MOST_RUNS]
    return ", ".join([*cut, "..."] if len(parts) > len(cut) else cut)
