"""Convolutions: from layers and from functional calls."""

from __future__ import annotations

from typing import Any

import msgspec
from torch import fx, nn

from convlint.ir import nodes as ir
from convlint.tracing.lowering import stored
from convlint.tracing.lowering.call import Call, Handler, Lowered, spec_of, tuple_of

_AXES = {"1d": 1, "2d": 2, "3d": 3}


def amounts(
    padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Return padding as (before, after) per axis; 'same' puts the odd one after, as torch does."""
    if padding == "valid":
        return tuple((0, 0) for _ in kernel)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((p, p) for p in tuple_of(padding, len(kernel)))


def _word(padding: Any) -> str:
    return padding if isinstance(padding, str) else ""


def layer(call: Call) -> Lowered:
    """Lower a plain nn.Conv*d or nn.ConvTranspose*d."""
    conv: Any = call.layer
    axes = len(conv.kernel_size)
    kernel, dilation = tuple_of(conv.kernel_size, axes), tuple_of(conv.dilation, axes)
    given = call.output.shape[2:]
    extra = tuple_of(conv.output_padding, axes) if conv.transposed else ()
    op = ir.Conv(
        in_channels=conv.in_channels,
        out_channels=conv.out_channels,
        kernel=kernel,
        stride=tuple_of(conv.stride, axes),
        padding=amounts(conv.padding, kernel, dilation),
        dilation=dilation,
        groups=conv.groups,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
        transposed=conv.transposed,
        output_padding=extra,
        padding_word=_word(conv.padding),
    )
    if conv.transposed and len(given) == axes:
        op = _with_extra(op, call.shape[2:], given)
    roles = (("weight", "weight"), ("bias", "bias")) if op.bias else (("weight", "weight"),)
    return Lowered(op, (call.source,), roles)


def _with_extra(op: ir.Conv, before: tuple[int, ...], after: tuple[int, ...]) -> ir.Conv:
    """Return ``op`` with the output_padding that the run really had (``output_size=``)."""
    extra = []
    for axis, size in enumerate(before):
        reach = op.dilation[axis] * (op.kernel[axis] - 1)
        least = (size - 1) * op.stride[axis] - sum(op.padding[axis]) + reach + 1
        extra.append(after[axis] - least)
    return msgspec.structs.replace(op, output_padding=tuple(extra))


def function(call: Call) -> Lowered | None:
    """Lower F.conv*d and F.conv_transpose*d; the weight is a parameter or is computed."""
    axes = _AXES[call.name[-2:]]
    transposed = "transpose" in call.name
    weight, bias = call.arg(1, "weight"), call.arg(2, "bias")
    if not isinstance(weight, fx.Node):
        return None
    stride, padding = call.arg(3, "stride", 1), call.arg(4, "padding", 0)
    if transposed:
        extra, groups = call.arg(5, "output_padding", 0), call.arg(6, "groups", 1)
        dilation = call.arg(7, "dilation", 1)
    else:
        extra, dilation, groups = 0, call.arg(5, "dilation", 1), call.arg(6, "groups", 1)
    shape = spec_of(weight).shape
    kernel = shape[2:]
    spread = tuple_of(dilation, axes)
    op = ir.Conv(
        in_channels=shape[0] if transposed else shape[1] * groups,
        out_channels=shape[1] * groups if transposed else shape[0],
        kernel=kernel,
        stride=tuple_of(stride, axes),
        padding=amounts(padding, kernel, spread),
        dilation=spread,
        groups=groups,
        bias=bias is not None,
        transposed=transposed,
        output_padding=tuple_of(extra, axes) if transposed else (),
        computed_weight=weight.op != "get_attr",
        padding_word=_word(padding),
    )
    return with_weights(op, call.source, weight, bias)


def with_weights(op: Any, source: fx.Node, weight: fx.Node, bias: fx.Node | None) -> Lowered:
    """Return the lowered product.

    A weight that is stored, or computed from parameters alone, is a param; one that depends on
    the input is an input.
    """
    inputs, params = [source], []
    folded: list[fx.Node] = []
    for role, node in (("weight", weight), ("bias", bias)):
        if not isinstance(node, fx.Node):
            continue
        origins = (node,) if node.op == "get_attr" else stored.sources_of(node)
        if origins is None:
            inputs.append(node)
            continue
        params += stored.with_roles(role, origins)
        folded += [node] if node.op != "get_attr" else []
        if role == "weight" and isinstance(op, (ir.Conv, ir.Linear)):
            op = msgspec.structs.replace(op, computed_weight=False)
    return Lowered(op, tuple(inputs), tuple(params), tuple(folded))


FUNCTIONS: dict[str, Handler] = {
    f"conv{kind}{axes}": function for kind in ("", "_transpose") for axes in _AXES
}
LAYERS: dict[type[nn.Module], Handler] = dict.fromkeys(
    (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    layer,
)
