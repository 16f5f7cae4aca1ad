"""Polynomials of x of the third degree, however they are factored."""

from __future__ import annotations

import math

from convlint_rules.composed_activation.reading import Reading, close

from convlint.analysis.readers import source_of
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, Ref

DEGREE = 3
Polynomial = tuple[float, ...]
"""The factors of 1, x, x^2 and x^3."""


def cubic(reading: Reading, ref: Ref, x: Ref) -> Polynomial | None:
    """Return a value as a polynomial of ``x``, None where it is none up to the third degree."""
    return _read(reading, ref, source_of(reading.graph, x), {})


def is_gelu(found: Polynomial | None, times: float) -> bool:
    """Tell the polynomial in the tanh form of GELU: sqrt(2 / pi) (x + 0.044715 x^3) ``times``."""
    slope = times * math.sqrt(2 / math.pi)
    wanted = (0.0, slope, 0.0, 0.044715 * slope)
    return found is not None and all(map(close, found, wanted))


def _read(
    reading: Reading, ref: Ref, x: Ref, known: dict[Ref, Polynomial | None]
) -> Polynomial | None:
    place = source_of(reading.graph, ref)
    if place == x:
        return (0.0, 1.0, 0.0, 0.0)
    if place not in known:
        node = reading.node(ref)
        parts = [_read(reading, source, x, known) for source in node.inputs]
        whole = [part for part in parts if part is not None]
        known[place] = _combined(node, whole) if parts and len(whole) == len(parts) else None
    return known[place]


def _combined(node: Node, parts: list[Polynomial]) -> Polynomial | None:
    """Return what a node makes of the polynomials that it reads."""
    op = node.op
    if isinstance(op, (ir.Add, ir.Mul)):
        parts = parts if op.scalar is None else [*parts, (op.scalar, 0.0, 0.0, 0.0)]
        return _sum(*parts) if isinstance(op, ir.Add) else _product(*parts)
    if not isinstance(op, ir.Elementwise):
        return None
    if op.fn == "sub" and len(parts) == 2:
        return _sum(parts[0], tuple(-factor for factor in parts[1]))
    if op.fn == "square":
        return _product(parts[0], parts[0])
    if op.fn in ("pow", "__pow__", "float_power") and op.number in (1.0, 2.0, 3.0):
        return _product(*parts * int(op.number))
    return None


def _sum(*parts: Polynomial) -> Polynomial:
    return tuple(map(sum, zip(*parts, strict=True)))


def _product(*parts: Polynomial) -> Polynomial | None:
    found: Polynomial = (1.0, 0.0, 0.0, 0.0)
    for part in parts:
        made = [0.0] * (2 * DEGREE + 1)
        for i, a in enumerate(found):
            for j, b in enumerate(part):
                made[i + j] += a * b
        if any(made[DEGREE + 1 :]):
            return None
        found = tuple(made[: DEGREE + 1])
    return found
