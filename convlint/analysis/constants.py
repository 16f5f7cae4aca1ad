"""Which values of a graph do not depend on its inputs and are the same in every run."""

from __future__ import annotations

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

_RANDOM = (
    "rand", "normal", "bernoulli", "poisson", "multinomial", "empty", "exponential", "cauchy",
    "geometric", "uniform", "gumbel", "dropout",
)  # fmt: skip
"""Parts of the names of functions whose results differ from run to run."""


def constants(graph: ModelGraph) -> frozenset[str]:
    """Return the nodes whose results are known before the model has any input."""
    return graph.once(_constants)


def _constants(graph: ModelGraph) -> frozenset[str]:
    found: set[str] = set()
    for node in graph:
        if isinstance(node.op, (ir.Input, ir.Output)) or _is_random(node):
            continue
        if isinstance(node.op, ir.Opaque) and node.op.may_hold_macs:
            continue
        if all(ref.node in found for ref in node.inputs):
            found.add(node.id)
    return frozenset(found)


def _is_random(node: Node) -> bool:
    op = node.op
    name = op.target if isinstance(op, ir.Opaque) else ""
    if isinstance(op, ir.Constant) and op.origin == "factory":
        name = op.name
    return any(part in name for part in _RANDOM)


def is_uniform(graph: ModelGraph, ref: Ref, axis: int = 0) -> bool:
    """Tell whether a value is proved to be the same along ``axis``: made so by a broadcast.

    ``axis`` counts from the front; a value of length 1 there is.
    """
    shape = graph.spec(ref).shape
    if axis >= len(shape) or shape[axis] == 1:
        return True
    node = graph[ref.node]
    if isinstance(node.op, (ir.Expand, ir.Repeat)):
        before = graph.spec(node.inputs[0]).shape
        place = axis - (len(shape) - len(before))
        return place < 0 or is_uniform(graph, node.inputs[0], place)
    if isinstance(node.op, (ir.Concat, ir.Stack)) and node.op.axis > axis:
        return all(is_uniform(graph, source, axis) for source in node.inputs)
    if isinstance(node.op, ir.Permute):
        return is_uniform(graph, node.inputs[0], node.op.axes[axis])
    if isinstance(node.op, (ir.Identity, ir.Activation)):
        return is_uniform(graph, node.inputs[0], axis)
    if isinstance(node.op, (ir.Add, ir.Mul, ir.Elementwise)):
        return all(_fits(graph, source, axis, len(shape)) for source in node.inputs)
    return False


def _fits(graph: ModelGraph, ref: Ref, axis: int, rank: int) -> bool:
    """Tell whether an operand of an elementwise operation is uniform along the result's axis."""
    place = axis - (rank - len(graph.spec(ref).shape))
    return place < 0 or is_uniform(graph, ref, place)
