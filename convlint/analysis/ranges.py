"""Bounds that the values of a graph are proved to keep, whatever the input and the weights.

A range follows from the operations alone: a ReLU gives [0, inf), a sigmoid [0, 1], and pooling,
sums, products, joins and moves of such values keep what they prove. Everything else is unbounded.
The proof is one of real arithmetic; a value that is not a number is outside of it, as it is of
the activations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

INF = math.inf


@dataclass(frozen=True, slots=True)
class Range:
    """All values lie in [low, high]."""

    low: float = -INF
    high: float = INF

    @property
    def positive(self) -> bool:
        """Whether no value is under 0."""
        return self.low >= 0


ANY = Range()
NOT_NEGATIVE = Range(0.0, INF)
UNIT = Range(0.0, 1.0)
SIGNED_UNIT = Range(-1.0, 1.0)

Specs = tuple[TensorSpec, ...]


def ranges(graph: ModelGraph) -> dict[Ref, Range]:
    """Return the proved range of every output in the graph."""
    found: dict[Ref, Range] = {}
    for node in graph:
        values = tuple(found[ref] for ref in node.inputs)
        result = _range_of(graph, node, values)
        for output in range(len(node.outputs)):
            found[Ref(node.id, output)] = result if not output or _parts(node) else ANY
    return found


def _parts(node: Node) -> bool:
    return isinstance(node.op, ir.Split)


def _range_of(graph: ModelGraph, node: Node, values: tuple[Range, ...]) -> Range:
    op = node.op
    if isinstance(op, _MOVES):
        return values[0]
    if isinstance(op, (ir.Concat, ir.Stack)):
        return hull(values)
    if isinstance(op, ir.Mul) and len(values) == 2 and node.inputs[0] == node.inputs[1]:
        return _square(values[0])
    if isinstance(op, ir.Identity):
        same = graph.spec(node.inputs[0]).dtype == node.output.dtype
        return values[0] if same else ANY
    handler = _HANDLERS.get(type(op))
    return handler(op, values) if handler is not None else ANY


def hull(values: Iterable[Range]) -> Range:
    """Return the smallest range that holds all the given ones; any value where none is given."""
    values = tuple(values)
    if not values:
        return ANY
    return Range(min(v.low for v in values), max(v.high for v in values))


def _constant(op: ir.Constant, _values: tuple[Range, ...]) -> Range:
    return Range(min(op.values), max(op.values)) if op.values else ANY


def _add(op: ir.Add, values: tuple[Range, ...]) -> Range:
    if op.scalar is not None:
        values = (*values, Range(op.scalar, op.scalar))
    return Range(sum(v.low for v in values), sum(v.high for v in values))


def _mul(op: ir.Mul, values: tuple[Range, ...]) -> Range:
    if op.scalar is not None:
        values = (*values, Range(op.scalar, op.scalar))
    first, second = values
    ends = [_times(a, b) for a in (first.low, first.high) for b in (second.low, second.high)]
    return Range(min(ends), max(ends))


def _times(a: float, b: float) -> float:
    """Return the product; 0 times a bound that is not there is 0, as values are finite."""
    return 0.0 if a == 0 or b == 0 else a * b


def _square(value: Range) -> Range:
    ends = (_times(value.low, value.low), _times(value.high, value.high))
    return Range(min(ends) if value.low > 0 or value.high < 0 else 0.0, max(ends))


def _pool(op: ir.Pool, values: tuple[Range, ...]) -> Range:
    """An average may have a divisor of its own, and a dilated maximum a window of padding only."""
    (value,) = values
    if op.type == "max":
        gaps = any(d > 1 for d in op.dilation) and any(op.padding)
        return ANY if gaps else value
    if op.type == "avg":
        return value if op.adaptive else Range(0.0 if value.positive else -INF, INF)
    return ANY


def _upsample(op: ir.Upsample, values: tuple[Range, ...]) -> Range:
    """Interpolation by weights of [0, 1] keeps bounds; bicubic has negative weights."""
    return values[0] if op.mode in _CONVEX else ANY


def _pad(op: ir.Pad, values: tuple[Range, ...]) -> Range:
    grows = any(side > 0 for sides in op.amounts for side in sides)
    if op.mode == "constant" and grows:
        return hull((*values, Range(op.value, op.value)))
    return values[0]


def _reduce(op: ir.Reduce, values: tuple[Range, ...]) -> Range:
    (value,) = values
    if op.fn in ("mean", "nanmean", "max", "min", "amax", "amin", "median"):
        return value
    if op.fn in ("var", "std", "norm", "vector_norm", "count_nonzero", "argmax", "argmin"):
        return NOT_NEGATIVE
    if op.fn in ("sum", "prod"):
        return NOT_NEGATIVE if value.positive else ANY
    return ANY


def _softmax(op: ir.Softmax, _values: tuple[Range, ...]) -> Range:
    return Range(-INF, 0.0) if op.fn == "log_softmax" else UNIT


def _activation(op: ir.Activation, values: tuple[Range, ...]) -> Range:
    value = values[0]
    if op.fn in ("relu", "relu6"):
        most = 6.0 if op.fn == "relu6" else INF
        return Range(min(max(value.low, 0.0), most), min(max(value.high, 0.0), most))
    if op.fn in _FIXED:
        return _FIXED[op.fn]
    if op.fn in IDENTITY_ABOVE_ZERO and value.positive:
        return value
    if op.fn in _SHRINKING and value.positive:
        return Range(0.0, value.high)
    return ANY


def _elementwise(op: ir.Elementwise, values: tuple[Range, ...]) -> Range:
    if op.fn in _FIXED:
        return _FIXED[op.fn]
    if op.fn in ("maximum", "fmax") and len(values) == 2:
        return Range(max(v.low for v in values), max(v.high for v in values))
    if op.fn in ("minimum", "fmin") and len(values) == 2:
        return Range(min(v.low for v in values), min(v.high for v in values))
    if op.fn in ABSOLUTE:
        ends = (abs(values[0].low), abs(values[0].high))
        return values[0] if values[0].positive else Range(0.0, max(ends))
    if op.fn == "where" and len(values) == 3:
        return hull(values[1:])
    if op.fn in ("div", "log1p", "expm1", "clamp_min", "reciprocal"):
        whole = len(values) == (2 if op.fn == "div" else 1)
        return NOT_NEGATIVE if whole and all(v.positive for v in values) else ANY
    return ANY


ABSOLUTE = frozenset({"abs", "absolute", "__abs__"})
"""The names under which the absolute value is called."""

IDENTITY_ABOVE_ZERO = frozenset({"relu", "leaky_relu", "prelu", "elu", "celu", "rrelu"})
"""Activations that return every value from 0 on as it is, whatever their slope below."""

_SHRINKING = frozenset(
    {"gelu", "silu", "mish", "hardswish", "softshrink", "hardshrink", "tanhshrink"}
)
_CONVEX = frozenset({"nearest", "nearest-exact", "linear", "bilinear", "trilinear", "area"})
_FIXED = {
    **dict.fromkeys(("sigmoid", "hardsigmoid", "expit"), UNIT),
    **dict.fromkeys(("softplus", "square", "sqrt", "rsqrt", "exp", "exp2"), NOT_NEGATIVE),
    **dict.fromkeys(("tanh", "softsign", "sin", "cos", "erf"), SIGNED_UNIT),
    "logsigmoid": Range(-INF, 0.0),
}
_MOVES = (
    ir.Split, ir.Reshape, ir.Permute, ir.Slice, ir.Gather, ir.Expand, ir.Repeat, ir.Flip, ir.Roll,
    ir.PixelShuffle, ir.ChannelShuffle,
)  # fmt: skip
_HANDLERS: dict[type[ir.Op], Callable[[Any, tuple[Range, ...]], Range]] = {
    ir.Constant: _constant,
    ir.Add: _add,
    ir.Mul: _mul,
    ir.Pool: _pool,
    ir.Upsample: _upsample,
    ir.Pad: _pad,
    ir.Reduce: _reduce,
    ir.Softmax: _softmax,
    ir.Activation: _activation,
    ir.Elementwise: _elementwise,
}
