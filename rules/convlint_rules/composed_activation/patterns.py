"""Activations that are computed step by step, found whatever the order of their factors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from convlint_rules.composed_activation.cubic import cubic, is_gelu
from convlint_rules.composed_activation.reading import Reading, close, largest

from convlint.analysis.readers import source_of
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


@dataclass(frozen=True, slots=True)
class Composed:
    """The steps that compute ``op`` of ``source``; the anchor is the last of them."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Activation
    source: Ref


# --- what a factor may be: it returns the x of the pattern; ``x`` is the other factor ------


def _sigmoid(reading: Reading, ref: Ref, _x: Ref) -> Ref | None:
    return reading.argument(ref, "sigmoid", "expit")


def _tanh_softplus(reading: Reading, ref: Ref, _x: Ref) -> Ref | None:
    inner = reading.argument(ref, "tanh")
    return None if inner is None else reading.softplus(inner)


def _relu6_shifted(reading: Reading, ref: Ref, _x: Ref) -> Ref | None:
    inner = reading.argument(ref, "relu6")
    return None if inner is None else reading.less(inner, 3.0)


def _hardsigmoid(reading: Reading, ref: Ref, _x: Ref) -> Ref | None:
    return reading.argument(ref, "hardsigmoid")


def _erf_shifted(reading: Reading, ref: Ref, _x: Ref) -> Ref | None:
    inner = reading.less(ref, 1.0)
    inner = None if inner is None else reading.argument(inner, "erf")
    return None if inner is None else reading.over(inner, math.sqrt(0.5))


def _tanh_of_cubic(reading: Reading, ref: Ref, x: Ref) -> Ref | None:
    inner = reading.less(ref, 1.0)
    inner = None if inner is None else reading.argument(inner, "tanh")
    return x if inner is not None and is_gelu(cubic(reading, inner, x), 1.0) else None


def _sigmoid_of_cubic(reading: Reading, ref: Ref, x: Ref) -> Ref | None:
    """The same curve: 1 + tanh(y) is 2 sigmoid(2 y)."""
    inner = reading.argument(ref, "sigmoid", "expit")
    return x if inner is not None and is_gelu(cubic(reading, inner, x), 2.0) else None


_TANH_GELU = ir.Activation("gelu", "tanh")


@dataclass(frozen=True, slots=True)
class _Pattern:
    """``op(x)`` is ``number * gate(x)``, times x where it is ``gated``."""

    op: ir.Activation
    number: float
    gate: Callable[[Reading, Ref, Ref], Ref | None]
    gated: bool = True


_PATTERNS = (
    _Pattern(ir.Activation("silu"), 1.0, _sigmoid),
    _Pattern(ir.Activation("mish"), 1.0, _tanh_softplus),
    _Pattern(ir.Activation("hardswish"), 1 / 6, _relu6_shifted),
    _Pattern(ir.Activation("hardswish"), 1.0, _hardsigmoid),
    _Pattern(ir.Activation("gelu"), 0.5, _erf_shifted),
    _Pattern(_TANH_GELU, 0.5, _tanh_of_cubic),
    _Pattern(_TANH_GELU, 1.0, _sigmoid_of_cubic),
    _Pattern(ir.Activation("hardsigmoid"), 1 / 6, _relu6_shifted, gated=False),
)


def composed(graph: ModelGraph) -> Iterator[Composed]:
    """Yield the largest composed activations, in execution order of their last steps."""
    yield from largest([one for node in graph for one in _at(graph, node)])


def _at(graph: ModelGraph, node: Node) -> Iterator[Composed]:
    if isinstance(node.op, ir.Mul):
        for pattern in _PATTERNS:
            one = _matched(graph, node, pattern)
            if one is not None:
                yield one
                return
    elif node.op == ir.Elementwise("div") and len(node.inputs) == 2:
        one = _quotient(graph, node)
        if one is not None:
            yield one


def _matched(graph: ModelGraph, node: Node, pattern: _Pattern) -> Composed | None:
    number, factors = Reading(graph).factors(node)
    if not close(number, pattern.number) or len(factors) != 1 + pattern.gated:
        return None
    for gate in dict.fromkeys(factors):
        reading = Reading(graph)
        reading.factors(node)
        rest = [ref for ref in factors if ref != gate]
        source = pattern.gate(reading, gate, (rest or [gate])[0])
        if source is None:
            continue
        if all(source_of(graph, ref) == source_of(graph, source) for ref in rest):
            return _found(graph, node, pattern.op, source, reading)
    return None


def _quotient(graph: ModelGraph, node: Node) -> Composed | None:
    """Match x / (1 + exp(-x))."""
    reading = Reading(graph, {node.id})
    inner = reading.less(node.inputs[1], 1.0)
    inner = None if inner is None else reading.argument(inner, "exp")
    source = None if inner is None else reading.negated(inner)
    if source is None or source_of(graph, source) != source_of(graph, node.inputs[0]):
        return None
    return _found(graph, node, ir.Activation("silu"), source, reading)


def _found(
    graph: ModelGraph, node: Node, op: ir.Activation, source: Ref, reading: Reading
) -> Composed | None:
    source = source_of(graph, source)
    if graph.spec(source) != node.output:
        return None
    nodes = tuple(sorted(reading.read - {source.node}, key=graph.order.__getitem__))
    return Composed(node.id, nodes, op, source)
