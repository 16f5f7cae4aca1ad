"""Activations that are computed step by step, found whatever the order of their factors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from convlint.analysis.readers import source_of
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


@dataclass(frozen=True, slots=True)
class Composed:
    """The steps that compute ``fn`` of ``source``; the anchor is the last of them."""

    anchor: str
    nodes: tuple[str, ...]
    fn: str
    source: Ref


@dataclass(slots=True)
class _Reading:
    """Reads an expression down from its last step, and keeps which nodes it has read."""

    graph: ModelGraph
    read: set[str] = field(default_factory=set)

    def node(self, ref: Ref) -> Node:
        """Return what computes a value, looking through copies, and count it as read."""
        while source_of(self.graph, ref) != ref:
            self.read.add(ref.node)
            ref = self.graph[ref.node].inputs[0]
        self.read.add(ref.node)
        return self.graph[ref.node]

    def factors(self, node: Node) -> tuple[float, list[Ref]]:
        """Return a product as a number and its other factors; products in it are taken apart."""
        if not isinstance(node.op, ir.Mul):
            return 1.0, []
        self.read.add(node.id)
        number, found = 1.0 if node.op.scalar is None else node.op.scalar, []
        for ref in node.inputs:
            inner = self.graph[source_of(self.graph, ref).node]
            if isinstance(inner.op, ir.Mul) and len(self.graph.users(inner)) == 1:
                times, more = self.factors(self.node(ref))
                number *= times
                found += more
            else:
                found.append(ref)
        return number, found

    def argument(self, ref: Ref, *names: str) -> Ref | None:
        """Return what a function of one of these names reads, None where it is another one."""
        node = self.graph[source_of(self.graph, ref).node]
        op = node.op
        name = op.fn if isinstance(op, (ir.Activation, ir.Elementwise)) else ""
        if name not in names or len(node.inputs) != 1:
            return None
        return self.node(ref).inputs[0]

    def less(self, ref: Ref, number: float) -> Ref | None:
        """Return x where the value is x + number."""
        node = self.graph[source_of(self.graph, ref).node]
        added = node.op.scalar if isinstance(node.op, ir.Add) else None
        if added is None or not _close(added, number):
            return None
        return self.node(ref).inputs[0]

    def over(self, ref: Ref, number: float) -> Ref | None:
        """Return x where the value is x * number."""
        node = self.graph[source_of(self.graph, ref).node]
        times = node.op.scalar if isinstance(node.op, ir.Mul) else None
        if times is None or not _close(times, number):
            return None
        return self.node(ref).inputs[0]

    def softplus(self, ref: Ref) -> Ref | None:
        """Return x where the value is log(1 + exp(x))."""
        plain = self.argument(ref, "softplus")
        if plain is not None:
            return plain
        inner = self.argument(ref, "log1p")
        if inner is None:
            sum_ = self.argument(ref, "log")
            inner = None if sum_ is None else self.less(sum_, 1.0)
        return None if inner is None else self.argument(inner, "exp")

    def negated(self, ref: Ref) -> Ref | None:
        """Return x where the value is -x."""
        plain = self.argument(ref, "neg", "negative", "__neg__")
        return plain if plain is not None else self.over(ref, -1.0)


def _close(found: float, wanted: float) -> bool:
    """Tell whether a number as it was written is the one of the function."""
    return math.isclose(found, wanted, rel_tol=1e-10)


# --- what a factor may be: it returns the x of the pattern --------------------------------


def _sigmoid(reading: _Reading, ref: Ref) -> Ref | None:
    return reading.argument(ref, "sigmoid", "expit")


def _tanh_softplus(reading: _Reading, ref: Ref) -> Ref | None:
    inner = reading.argument(ref, "tanh")
    return None if inner is None else reading.softplus(inner)


def _relu6_shifted(reading: _Reading, ref: Ref) -> Ref | None:
    inner = reading.argument(ref, "relu6")
    return None if inner is None else reading.less(inner, 3.0)


def _hardsigmoid(reading: _Reading, ref: Ref) -> Ref | None:
    return reading.argument(ref, "hardsigmoid")


def _erf_shifted(reading: _Reading, ref: Ref) -> Ref | None:
    inner = reading.less(ref, 1.0)
    inner = None if inner is None else reading.argument(inner, "erf")
    return None if inner is None else reading.over(inner, math.sqrt(0.5))


@dataclass(frozen=True, slots=True)
class _Pattern:
    """``fn(x)`` is ``number * gate(x)``, times x where it is ``gated``."""

    fn: str
    number: float
    gate: Callable[[_Reading, Ref], Ref | None]
    gated: bool = True


_PATTERNS = (
    _Pattern("silu", 1.0, _sigmoid),
    _Pattern("mish", 1.0, _tanh_softplus),
    _Pattern("hardswish", 1 / 6, _relu6_shifted),
    _Pattern("hardswish", 1.0, _hardsigmoid),
    _Pattern("gelu", 0.5, _erf_shifted),
    _Pattern("hardsigmoid", 1 / 6, _relu6_shifted, gated=False),
)


def composed(graph: ModelGraph) -> Iterator[Composed]:
    """Yield the largest composed activations, in execution order of their last steps."""
    found = [one for node in graph for one in _at(graph, node)]
    for one in found:
        mine = set(one.nodes)
        if not any(mine < set(other.nodes) for other in found):
            yield one


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
    number, factors = _Reading(graph).factors(node)
    if not _close(number, pattern.number) or len(factors) != 1 + pattern.gated:
        return None
    for gate in dict.fromkeys(factors):
        reading = _Reading(graph)
        reading.factors(node)
        source = pattern.gate(reading, gate)
        if source is None:
            continue
        rest = [ref for ref in factors if ref != gate]
        if all(source_of(graph, ref) == source_of(graph, source) for ref in rest):
            return _found(graph, node, pattern.fn, source, reading)
    return None


def _quotient(graph: ModelGraph, node: Node) -> Composed | None:
    """Match x / (1 + exp(-x))."""
    reading = _Reading(graph, {node.id})
    inner = reading.less(node.inputs[1], 1.0)
    inner = None if inner is None else reading.argument(inner, "exp")
    source = None if inner is None else reading.negated(inner)
    if source is None or source_of(graph, source) != source_of(graph, node.inputs[0]):
        return None
    return _found(graph, node, "silu", source, reading)


def _found(
    graph: ModelGraph, node: Node, fn: str, source: Ref, reading: _Reading
) -> Composed | None:
    source = source_of(graph, source)
    if graph.spec(source) != node.output:
        return None
    nodes = tuple(sorted(reading.read - {source.node}, key=graph.order.__getitem__))
    return Composed(node.id, nodes, fn, source)
