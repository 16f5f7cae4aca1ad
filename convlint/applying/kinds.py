"""Emits an operation of a ModelGraph as torch calls, from the operation alone."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from convlint.errors import ApplyError
from convlint.ir import nodes as ir

Inputs = list[fx.Node]


def emit(graph: fx.Graph, node: ir.Node, inputs: Inputs, before: tuple[ir.Ints, ...]) -> fx.Node:
    """Return the fx node that computes ``node`` from ``inputs``, of the shapes ``before``.

    Raises ApplyError for an operation that cannot be told from its description alone.
    """
    emitter = _EMITTERS.get(type(node.op))
    if emitter is None:
        raise ApplyError(f"{_unknown(node)} cannot be emitted")
    return emitter(graph, node, inputs, before)


def _unknown(node: ir.Node) -> str:
    if not isinstance(node.op, ir.Opaque):
        return f"a new {node.kind}"
    at = f" at {node.called_at.path}:{node.called_at.line}" if node.called_at else ""
    written = node.op.target == "written"
    return (
        f"a write into a part of {node.id.partition('__')[0]}{at}"
        if written
        else f"{node.op.target}{at}"
    )


def _activation(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    assert isinstance(node.op, ir.Activation)
    function = getattr(F, node.op.fn, None)
    if function is None or node.params:
        raise ApplyError(f"a new {node.op.fn} cannot be emitted")
    options = {} if node.op.approximate == "none" else {"approximate": node.op.approximate}
    return graph.call_function(function, (inputs[0],), options)


def _norm(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    """Emit a norm without weights: a call that takes its sizes from what it gets."""
    op = node.op
    assert isinstance(op, ir.Norm)
    if op.type == "instance" and not op.running_stats:
        return graph.call_function(F.instance_norm, (inputs[0],), {"eps": op.eps})
    if op.type not in ("layer", "rms"):
        raise ApplyError(f"a new {op.type} norm without weights cannot be emitted")
    function = F.layer_norm if op.type == "layer" else F.rms_norm
    shape = graph.call_function(getattr, (inputs[0], "shape"))
    last = graph.call_function(operator.getitem, (shape, slice(-len(op.axes), None)))
    return graph.call_function(function, (inputs[0], last), {"eps": op.eps})


def _softmax(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    assert isinstance(node.op, ir.Softmax)
    return graph.call_function(getattr(F, node.op.fn), (inputs[0],), {"dim": node.op.axis})


def _pool(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, ir.Pool)
    axes = len(op.kernel)
    if op.type == "lp":
        raise ApplyError("a new lp pool cannot be emitted")
    if op.adaptive:
        function = getattr(F, f"adaptive_{op.type}_pool{axes}d")
        return graph.call_function(function, (inputs[0], node.output.shape[-axes:]))
    function = getattr(F, f"{op.type}_pool{axes}d")
    options: dict[str, Any] = {
        "stride": op.stride, "padding": op.padding, "ceil_mode": op.ceil_mode,
    }  # fmt: skip
    if op.type == "max":
        options["dilation"] = op.dilation or (1,) * axes
    else:
        options["count_include_pad"] = op.count_include_pad
        if op.divisor is not None:
            options["divisor_override"] = op.divisor
    return graph.call_function(function, (inputs[0], op.kernel), options)


def _reduce(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, ir.Reduce)
    function = getattr(torch, op.fn)
    if op.correction is None:
        return graph.call_function(function, (inputs[0], op.axes, op.keepdim))
    options = {"correction": op.correction, "keepdim": op.keepdim}
    return graph.call_function(function, (inputs[0], op.axes), options)


def _upsample(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, ir.Upsample)
    options: dict[str, Any] = {"size": node.output.shape[2:], "mode": op.mode}
    if op.factors:
        options = {"scale_factor": op.factors, "mode": op.mode}
    if op.mode in ("linear", "bilinear", "bicubic", "trilinear"):
        options["align_corners"] = op.align_corners
    if op.antialias:
        options["antialias"] = True
    return graph.call_function(F.interpolate, (inputs[0],), options)


def pad(graph: fx.Graph, source: fx.Node, amounts: ir.Pairs, mode: str, value: float) -> fx.Node:
    """Emit a padding of every axis by (before, after)."""
    flat = [side for sides in reversed(amounts) for side in sides]
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    return graph.call_function(F.pad, (source, tuple(flat)), {"mode": mode, "value": value})


def _pad(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, ir.Pad)
    return pad(graph, inputs[0], op.amounts, op.mode, op.value)


def _arithmetic(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, (ir.Add, ir.Mul))
    function = torch.add if isinstance(op, ir.Add) else torch.mul
    other = inputs[1] if op.scalar is None else op.scalar
    return graph.call_function(function, (inputs[0], other))


def _joined(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, (ir.Concat, ir.Stack))
    function = torch.cat if isinstance(op, ir.Concat) else torch.stack
    return graph.call_function(function, (inputs, op.axis))


def _split(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, ir.Split)
    return graph.call_function(torch.split, (inputs[0], list(op.sizes), op.axis))


def _reshape(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    return graph.call_function(torch.reshape, (inputs[0], node.output.shape))


def _permute(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    assert isinstance(node.op, ir.Permute)
    return graph.call_function(torch.permute, (inputs[0], node.op.axes))


def _slice(graph: fx.Graph, node: ir.Node, inputs: Inputs, before: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, ir.Slice)
    index: list[Any] = [slice(None)] * len(before[0])
    for cut in op.slices:
        index[cut.axis] = slice(cut.start, cut.stop, cut.step)
    taken = graph.call_function(operator.getitem, (inputs[0], tuple(index)))
    return graph.call_function(torch.reshape, (taken, node.output.shape))


def _gather(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    op = node.op
    assert isinstance(op, ir.Gather)
    if op.indices is None:
        raise ApplyError("a new gather with unknown indices cannot be emitted")
    index = (slice(None),) * op.axis + (list(op.indices),)
    return graph.call_function(operator.getitem, (inputs[0], index))


def _expand(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    return graph.call_function(torch.broadcast_to, (inputs[0], node.output.shape))


def _repeat(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    assert isinstance(node.op, ir.Repeat)
    return graph.call_function(torch.tile, (inputs[0], node.op.repeats))


def _flip(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    assert isinstance(node.op, ir.Flip)
    return graph.call_function(torch.flip, (inputs[0], node.op.axes))


def _roll(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    assert isinstance(node.op, ir.Roll)
    return graph.call_function(torch.roll, (inputs[0], node.op.shifts, node.op.axes))


def _pixel_shuffle(graph: fx.Graph, node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    assert isinstance(node.op, ir.PixelShuffle)
    function = F.pixel_unshuffle if node.op.inverse else F.pixel_shuffle
    return graph.call_function(function, (inputs[0], node.op.factor))


def _channel_shuffle(graph: fx.Graph, node: ir.Node, inputs: Inputs, before: Any) -> fx.Node:
    """View, transpose, view: torch's own function takes no volumes."""
    assert isinstance(node.op, ir.ChannelShuffle)
    n, c, *rest = before[0]
    groups = node.op.groups
    seen = graph.call_function(torch.reshape, (inputs[0], (n, groups, c // groups, *rest)))
    turned = graph.call_function(torch.transpose, (seen, 1, 2))
    return graph.call_function(torch.reshape, (turned, (n, c, *rest)))


def _identity(_graph: fx.Graph, _node: ir.Node, inputs: Inputs, _: Any) -> fx.Node:
    return inputs[0]


_EMITTERS: dict[type, Callable[[fx.Graph, ir.Node, Inputs, Any], fx.Node]] = {
    ir.Activation: _activation,
    ir.Norm: _norm,
    ir.Softmax: _softmax,
    ir.Pool: _pool,
    ir.Reduce: _reduce,
    ir.Upsample: _upsample,
    ir.Pad: _pad,
    ir.Add: _arithmetic,
    ir.Mul: _arithmetic,
    ir.Concat: _joined,
    ir.Stack: _joined,
    ir.Split: _split,
    ir.Reshape: _reshape,
    ir.Permute: _permute,
    ir.Slice: _slice,
    ir.Gather: _gather,
    ir.Expand: _expand,
    ir.Repeat: _repeat,
    ir.Flip: _flip,
    ir.Roll: _roll,
    ir.PixelShuffle: _pixel_shuffle,
    ir.ChannelShuffle: _channel_shuffle,
    ir.Identity: _identity,
}
