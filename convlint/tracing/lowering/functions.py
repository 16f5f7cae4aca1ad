"""Elementwise arithmetic and reductions, and what is known to hold no MACs."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from convlint.ir import nodes as ir
from convlint.tracing.lowering.call import Call, Handler, Lowered, tuple_of

_ALIASES = {
    "__add__": "add", "__radd__": "add", "__iadd__": "add",
    "__mul__": "mul", "__rmul__": "mul", "__imul__": "mul", "multiply": "mul",
    "__sub__": "sub", "__isub__": "sub", "subtract": "sub",
    "__truediv__": "div", "__itruediv__": "div", "__div__": "div", "divide": "div",
    "true_divide": "div",
}  # fmt: skip


def canonical(name: str) -> str:
    """Return the name without the marks of methods, operators, overloads and in-place forms."""
    name = name.partition(".")[0]
    if name in _ALIASES:
        return _ALIASES[name]
    if name.endswith("_") and not name.endswith("__"):
        return name[:-1]
    return name


def binary(call: Call) -> Lowered:
    """Lower add and mul of two tensors or of a tensor and a number."""
    kind = ir.Add if call.name == "add" else ir.Mul
    numbers = [v for v in (*call.args, call.kwargs.get("other")) if isinstance(v, (int, float))]
    alpha = call.kwargs.get("alpha", 1)
    if call.name == "add" and alpha != 1:
        return Lowered(ir.Elementwise("add_scaled"), tuple(call.tensors))
    scalar = float(numbers[0]) if numbers and len(call.tensors) == 1 else None
    inputs = tuple(call.tensors)
    if len(inputs) == 1 and scalar is None:
        inputs = inputs * 2
    return Lowered(kind(scalar), inputs)


def difference(call: Call) -> Lowered:
    """Lower sub; of a number, it is the sum with the negative number."""
    number = call.arg(1, "other")
    if call.kwargs.get("alpha", 1) != 1:
        return Lowered(ir.Elementwise("sub_scaled"), tuple(call.tensors))
    if isinstance(number, (int, float)) and len(call.tensors) == 1:
        return Lowered(ir.Add(-float(number)), tuple(call.tensors))
    return elementwise(call)


def quotient(call: Call) -> Lowered:
    """Lower div; by a number, it is the product with its inverse."""
    number, rounding = call.arg(1, "other"), call.kwargs.get("rounding_mode")
    if rounding is not None:
        return Lowered(ir.Elementwise(f"div_{rounding}"), tuple(call.tensors))
    if isinstance(number, (int, float)) and number and len(call.tensors) == 1:
        return Lowered(ir.Mul(1 / float(number)), tuple(call.tensors))
    return elementwise(call)


def elementwise(call: Call) -> Lowered:
    """Lower a function of corresponding elements."""
    return Lowered(ir.Elementwise(call.name), tuple(call.tensors))


def power(call: Call) -> Lowered:
    """Lower pow and the quotient of a number with the number that is the exponent or dividend."""
    source, number = call.arg(0, "input"), call.arg(1, "exponent", call.kwargs.get("other"))
    known = isinstance(source, fx.Node) and isinstance(number, (int, float))
    return Lowered(ir.Elementwise(call.name, float(number) if known else None), tuple(call.tensors))


def reduce(call: Call) -> Lowered | None:
    """Lower a reduction over axes; one that also returns indices stays opaque."""
    if len(call.record.outputs) != 1 or len(call.tensors) != 1:
        return None
    return _reduced(call, call.arg(1, "dim", call.kwargs.get("axis")), None)


def spread(call: Call) -> Lowered | None:
    """Lower var and std, and the calls that return the mean too, by what they divide by.

    Two signatures: (dim, unbiased, keepdim) and (unbiased) without axes.
    """
    given: Any = call.arg(1, "dim", call.kwargs.get("axis"))
    unbiased: Any = call.arg(2, "unbiased")
    if isinstance(given, bool):
        given, unbiased = None, given
    correction = call.kwargs.get("correction")
    if unbiased is not None:
        correction = int(bool(unbiased))
    if len(call.tensors) != 1:
        return None
    return _reduced(call, given, 1.0 if correction is None else float(correction))


def _reduced(call: Call, given: Any, correction: float | None) -> Lowered | None:
    if isinstance(given, fx.Node):
        return None
    rank = len(call.shape)
    axes = tuple(range(rank)) if given is None else tuple(call.axis(a) for a in tuple_of(given, 1))
    keep = len(call.output.shape) == rank and bool(axes)
    return Lowered(ir.Reduce(call.name, axes, keep, correction), (call.source,))


_ELEMENTWISE = (
    "rsub __rsub__ __rpow__ square sqrt rsqrt"
    " exp exp2 expm1 log log2 log10 log1p abs absolute neg negative __neg__ sign sgn floor ceil round"
    " trunc frac sin cos tan asin acos atan atan2 sinh cosh erf erfc erfinv lerp addcmul addcdiv"
    " clamp clip clamp_min clamp_max maximum minimum fmax fmin where masked_fill fmod remainder"
    " floor_divide __floordiv__ __rfloordiv__ __mod__ reciprocal sigmoid_ nan_to_num eq ne lt le gt ge"
    " __eq__ __ne__ __lt__ __le__ __gt__ __ge__ logical_and logical_or logical_not logical_xor __and__"
    " __or__ __xor__ __invert__ bitwise_and bitwise_or bitwise_not isnan isinf isfinite hypot polar"
    " imag angle conj logit expit sinc heaviside copysign __abs__ softmin_ threshold_ tanh_"
).split()
_REDUCTIONS = (
    "mean sum amax amin max min norm prod logsumexp all any median argmax argmin nanmean"
    " count_nonzero vector_norm"
).split()
FUNCTIONS: dict[str, Handler] = {
    "add": binary,
    "mul": binary,
    "sub": difference,
    "div": quotient,
    **dict.fromkeys(_ELEMENTWISE, elementwise),
    **dict.fromkeys(("pow", "__pow__", "float_power", "__rtruediv__", "__rdiv__"), power),
    **dict.fromkeys(_REDUCTIONS, reduce),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), spread),
}

_PRODUCTS = frozenset(
    "addbmm addr bilinear cdist chain_matmul conv_tbc einsum ger inner kron multi_dot outer tensordot"
    " lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell cholesky solve inv"
    " matrix_exp matrix_power svd qr eig eigh pinv lstsq vecdot".split()
)
_WITHOUT_MACS = tuple(
    f"torchvision.{name}" for name in ("nms", "qnms", "roi_", "ps_roi_", "box_iou_rotated")
)
_TORCH_ROOMS = ("torch", "torch._C", "torch.functional", "torch.nn.functional", "torch._tensor")


def may_hold_macs(target: Any, name: str) -> bool:
    """Return whether an unknown call may multiply matrices.

    A function or method of torch itself that is not a matrix product does not; an operator of
    anybody else (``torch.ops.x``) may.
    """
    if isinstance(target, str):
        return name in _PRODUCTS
    if isinstance(target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        known = str(target).partition(".")[0] in ("aten", "prim", "prims")
        return name in _PRODUCTS or not (known or str(target).startswith(_WITHOUT_MACS))
    room = getattr(target, "__module__", None) or ""
    own = room in _TORCH_ROOMS or room.startswith(
        ("torch._C", "torch.nn", "torch.fft", "torch.special")
    )
    builtin = room in ("_operator", "builtins", "math", "")
    return name in _PRODUCTS or not (own or builtin)
