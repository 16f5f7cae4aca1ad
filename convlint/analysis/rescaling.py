"""Layers that take a factor or a shift of their channels into their weights, and the way to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from convlint.analysis import mixers
from convlint.analysis.shapes import surviving_dims
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref


@dataclass(frozen=True, slots=True)
class Way:
    """The way from a tensor back to ``end``, the first node that is not looked through.

    ``between`` are the nodes looked through, in execution order. ``axis`` is where the axis that
    was followed lies in the result of ``end``; None where a reshape broke it up.
    """

    end: Node
    between: tuple[Node, ...]
    axis: int | None


def way_back(
    graph: ModelGraph, ref: Ref, axis: int | None, passes: Callable[[Node], bool]
) -> Way | None:
    """Follow ``axis`` of a tensor back through nodes that pass; None where a part is read."""
    between: list[Node] = []
    while True:
        node = graph[ref.node]
        if ref.output != 0 or not node.outputs:
            return None
        if not node.inputs or not passes(node):
            return Way(node, tuple(reversed(between)), axis)
        if axis is not None:
            axis = axis_before(graph, node, axis)
        between.append(node)
        ref = node.inputs[0]


def axis_before(graph: ModelGraph, node: Node, axis: int) -> int | None:
    """Return which axis of its input is an axis of a node's result."""
    source, op = graph.spec(node.inputs[0]).shape, node.op
    if isinstance(op, ir.Permute):
        return op.axes[axis] % len(source)
    if isinstance(op, ir.Reshape):
        kept = surviving_dims(source, node.output.shape)
        return next((old for old, new in kept.items() if new == axis), None)
    if isinstance(op, ir.Reduce) and not op.keepdim:
        return [place for place in range(len(source)) if place not in op.axes][axis]
    return None if axis in _mixed_axes(node, len(source)) else axis


def _mixed_axes(node: Node, rank: int) -> range | list[int]:
    """Return the axes along which a pooling, an interpolation or a padding moves elements."""
    op = node.op
    if isinstance(op, ir.Pool):
        return range(rank - len(op.kernel), rank)
    if isinstance(op, ir.Upsample):
        return range(rank - len(op.scale), rank)
    if isinstance(op, ir.Pad):
        return [place for place, sides in enumerate(op.amounts) if sides != (0, 0)]
    return range(0)


def is_copy(graph: ModelGraph, node: Node) -> bool:
    """Tell a node that does nothing in eval mode: no cast either."""
    if not isinstance(node.op, ir.Identity) or not node.inputs:
        return False
    return graph.spec(node.inputs[0]).dtype == node.output.dtype


def channel_axis(node: Node) -> int | None:
    """Return the axis of a layer's result that holds its channels; None for other nodes."""
    if isinstance(node.op, ir.Conv) or is_plain_batch_norm(node):
        return 1
    return len(node.output.shape) - 1 if isinstance(node.op, ir.Linear) else None


def is_plain_batch_norm(node: Node) -> bool:
    """Tell a batch norm with stored statistics, which in eval mode is a factor and a shift."""
    op = node.op
    fixed = isinstance(op, ir.Norm) and op.type == "batch" and op.running_stats
    roles = {param.role for param in node.params}
    return fixed and len(node.inputs) == 1 and {"running_mean", "running_var"} <= roles


def has_own_weight(node: Node) -> bool:
    """Tell whether the weight and the bias are parameters and not computed from the input."""
    return mixers.weight_of(node) is not None and len(node.inputs) == 1


def out_channels(node: Node) -> int:
    """Return the channels that a convolution, a linear layer or a norm writes."""
    op = node.op
    if isinstance(op, ir.Conv):
        return op.out_channels
    return op.out_features if isinstance(op, ir.Linear) else node.output.shape[1]


def renewed(node: Node, suffix: str, bias: bool | None = None) -> Node:
    """Return the layer with new weights of the same shapes, with or without a bias if told.

    The new parameters are named after the old weight, so that two calls of one layer share them.
    A batch norm keeps its statistics.
    """
    op = node.op
    if isinstance(op, (ir.Conv, ir.Linear)):
        op = msgspec.structs.replace(op, bias=op.bias if bias is None else bias)
        wanted = {"weight": _weight_shape(op)}
        if op.bias:
            wanted["bias"] = (out_channels(node),)
        kept: tuple[Param, ...] = ()
    else:
        wanted = {p.role: p.shape for p in node.params if p.role in ("weight", "bias")}
        kept = tuple(param for param in node.params if param.role not in wanted)
    stem = mixers.weight_of(node)
    assert stem is not None
    made = tuple(_param(stem, suffix, role, shape) for role, shape in wanted.items())
    return msgspec.structs.replace(
        node, id=f"{node.id}~{suffix}", op=op, params=(*made, *kept), inplace=False
    )


def _param(stem: Param, suffix: str, role: str, shape: ir.Ints) -> Param:
    return msgspec.structs.replace(
        stem,
        name=f"{stem.name}.{suffix}.{role}",
        storage=f"{stem.storage}~{suffix}.{role}",
        shape=shape,
        role=role,
    )


def _weight_shape(op: ir.Conv | ir.Linear) -> ir.Ints:
    if isinstance(op, ir.Linear):
        return (op.out_features, op.in_features)
    if op.transposed:
        return (op.in_channels, op.out_channels // op.groups, *op.kernel)
    return (op.out_channels, op.in_channels // op.groups, *op.kernel)


def bias_name(node: Node) -> str:
    """Return the name of a layer's bias, or the name that it would have."""
    weight = mixers.weight_of(node)
    stem = weight.name if weight else "weight"
    made = f"{stem.removesuffix('weight')}bias" if stem.endswith("weight") else f"{stem}_bias"
    return next((param.name for param in node.params if param.role == "bias"), made)


def words(node: Node) -> str:
    """Return "3x3 conv 16->32", "linear 512->10" or "batch norm of 64 channels"."""
    if isinstance(node.op, ir.Norm):
        return f"batch norm of {out_channels(node)} channels"
    return mixers.words(node)


def code(node: Node) -> str:
    """Return the call that builds a convolution, a linear layer or a batch norm."""
    if not isinstance(node.op, ir.Norm):
        return mixers.code(node)
    axes = max(len(node.output.shape) - 2, 1)
    return f"nn.BatchNorm{axes}d({out_channels(node)})"
