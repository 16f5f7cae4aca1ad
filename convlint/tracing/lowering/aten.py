"""Operators as the dispatcher names them: what TorchScript code and extensions run."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from torch import fx

from convlint.ir import nodes as ir
from convlint.tracing.lowering import convs, layers, moves
from convlint.tracing.lowering.call import Call, Handler, Lowered, spec_of


def _renamed(call: Call, name: str, args: tuple[Any, ...]) -> Call:
    return Call(name, args, {}, call.record)


def convolution(call: Call) -> Lowered | None:
    """Lower aten.convolution(input, weight, bias, stride, padding, dilation, transposed, …)."""
    x, weight, bias, stride, padding, dilation, transposed, extra, groups = call.args[:9]
    axes = len(spec_of(weight).shape) - 2
    rest: tuple[Any, ...]
    if transposed:
        rest = (stride, padding, extra, groups, dilation)
        return convs.function(_renamed(call, f"conv_transpose{axes}d", (x, weight, bias, *rest)))
    rest = (stride, padding, dilation, groups)
    return convs.function(_renamed(call, f"conv{axes}d", (x, weight, bias, *rest)))


def batch_norm(call: Call) -> Lowered:
    """Lower the batch norm operators, whose parameters come in the order of the layer."""
    roles = ("weight", "bias", "running_mean", "running_var")
    pairs = list(zip(roles, call.args[1:5], strict=False))
    stored = [(r, n) for r, n in pairs if isinstance(n, fx.Node) and n.op == "get_attr"]
    computed = [n for _, n in pairs if isinstance(n, fx.Node) and n.op != "get_attr"]
    fixed = call.args[3] is not None and call.args[5] is not True
    eps = float(call.args[-1])
    op = ir.Norm("batch", affine=call.args[1] is not None, running_stats=fixed, eps=eps)
    return Lowered(op, (call.source, *computed), tuple(stored))


def layer_norm(call: Call) -> Lowered:
    """Lower aten.native_layer_norm(input, normalized_shape, weight, bias, eps)."""
    rank, count = len(call.shape), len(call.args[1])
    roles = [(r, n) for r, n in zip(("weight", "bias"), call.args[2:4], strict=False) if n]
    axes = tuple(range(rank - count, rank))
    op = ir.Norm("layer", axes=axes, affine=bool(roles), eps=float(call.args[4]))
    return Lowered(op, (call.source,), tuple(roles))


def softmax(call: Call) -> Lowered:
    """Lower aten._softmax and aten._log_softmax."""
    return Lowered(ir.Softmax(call.axis(call.args[1]), call.name.lstrip("_")), (call.source,))


def deform_conv2d(call: Call) -> Lowered:
    """Lower torchvision's deformable conv: samples where the offsets say, then a product.

    Not a Conv: what a kernel's geometry allows is not allowed here.
    """
    x, weight, offset, mask, bias = call.args[:5]
    out, inner, *kernel = spec_of(weight).shape
    groups, gated = int(call.args[11]), bool(call.args[13])
    rows = call.output.shape[0] * math.prod(call.output.shape[2:])
    op = ir.Matmul(batch=groups, m=rows, k=inner * math.prod(kernel), n=out // groups)
    lowered = convs.with_weights(op, x, weight, bias)
    more = (offset, mask) if gated else (offset,)
    return dataclasses.replace(lowered, inputs=(*lowered.inputs, *more))


def as_function(name: str, handlers: dict[str, Handler]) -> Handler:
    """Return the handler of the function ``name``, for an operator with the same arguments."""
    handler = handlers[name]

    def lower(call: Call) -> Lowered | None:
        return handler(Call(name, call.args, call.kwargs, call.record))

    return lower


FUNCTIONS: dict[str, Handler] = {
    "convolution": convolution,
    **dict.fromkeys(
        ("native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training"),
        batch_norm,
    ),
    "native_layer_norm": layer_norm,
    "deform_conv2d": deform_conv2d,
    **dict.fromkeys(("_softmax", "_log_softmax"), softmax),
    "max_pool2d_with_indices": as_function("max_pool2d", layers.FUNCTIONS),
    "_adaptive_avg_pool2d": as_function("adaptive_avg_pool2d", layers.FUNCTIONS),
    "_unsafe_view": as_function("view", moves.FUNCTIONS),
}
