"""Reads expressions of a graph down from their last step."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from convlint.analysis.readers import source_of
from convlint.contract import Site
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


@dataclass(slots=True)
class Reading:
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
        if added is None or not close(added, number):
            return None
        return self.node(ref).inputs[0]

    def over(self, ref: Ref, number: float) -> Ref | None:
        """Return x where the value is x * number."""
        node = self.graph[source_of(self.graph, ref).node]
        times = node.op.scalar if isinstance(node.op, ir.Mul) else None
        if times is None or not close(times, number):
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


Found = TypeVar("Found", bound=Site)


def largest(found: Sequence[Found]) -> Iterator[Found]:
    """Yield those that are no part of another one."""
    holding: dict[str, list[frozenset[str]]] = defaultdict(list)
    sets = [frozenset(one.nodes) for one in found]
    for nodes in sets:
        for key in nodes:
            holding[key].append(nodes)
    for one, mine in zip(found, sets, strict=True):
        if not any(mine < other for other in holding[one.anchor]):
            yield one


def close(found: float, wanted: float) -> bool:
    """Tell whether a number as it was written is the one of the function."""
    return math.isclose(found, wanted, rel_tol=1e-10)
