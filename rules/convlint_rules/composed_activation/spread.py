"""Means and deviations over axes, read off a graph as they were written."""

from __future__ import annotations

from dataclasses import dataclass

from convlint_rules.composed_activation.reading import Reading

from convlint.analysis.readers import source_of
from convlint.ir import nodes as ir
from convlint.ir.nodes import Ref

_POWERS = ("pow", "__pow__")


@dataclass(frozen=True, slots=True)
class Deviation:
    """A value that is sqrt(``variance`` + ``eps``); ``outside`` where the eps is added after.

    ``root`` is true where ``variance`` names a standard deviation instead.
    """

    variance: Ref
    eps: float = 0.0
    outside: bool = False
    root: bool = False


def plain(reading: Reading, ref: Ref, x: Ref | None = None) -> Ref:
    """Return what has the same elements in the same order, ``x`` at the farthest.

    What is between counts as read.
    """
    graph = reading.graph
    while True:
        ref = source_of(graph, ref)
        node = graph[ref.node]
        if ref == x or not isinstance(node.op, (ir.Reshape, ir.Slice, ir.Expand)):
            return ref
        if graph.spec(node.inputs[0]).elements != node.output.elements:
            return ref
        reading.read.add(node.id)
        ref = node.inputs[0]


def broadcast(reading: Reading, ref: Ref) -> Ref:
    """Return what a value is expanded from."""
    graph = reading.graph
    ref = source_of(graph, ref)
    while isinstance(graph[ref.node].op, ir.Expand):
        ref = source_of(graph, reading.node(ref).inputs[0])
    return ref


def inverse(reading: Reading, ref: Ref) -> Deviation | None:
    """Return the deviation that a factor is one over."""
    node = reading.graph[plain(reading, ref).node]
    op = node.op
    if not isinstance(op, ir.Elementwise) or len(node.inputs) != 1:
        return None
    reading.read.add(node.id)
    if op.fn == "rsqrt" or (op.fn in _POWERS and op.number == -0.5):
        return _with_eps(reading, node.inputs[0])
    if op.fn == "reciprocal" or (op.fn in ("__rdiv__", "__rtruediv__") and op.number == 1.0):
        return deviation(reading, node.inputs[0])
    return None


def deviation(reading: Reading, ref: Ref) -> Deviation | None:
    """Return the deviation that a divisor is."""
    ref = plain(reading, ref)
    node = reading.graph[ref.node]
    op = node.op
    if isinstance(op, ir.Add) and op.scalar is not None:
        reading.read.add(node.id)
        inner = deviation(reading, node.inputs[0])
        if inner is None or inner.eps:
            return None
        return Deviation(inner.variance, op.scalar, outside=True, root=inner.root)
    if isinstance(op, ir.Elementwise) and (
        op.fn == "sqrt" or (op.fn in _POWERS and op.number == 0.5)
    ):
        reading.read.add(node.id)
        return _with_eps(reading, node.inputs[0])
    if isinstance(op, ir.Reduce) and op.fn in ("std", "std_mean") and not ref.output:
        return Deviation(ref, root=True)
    return None


def _with_eps(reading: Reading, ref: Ref) -> Deviation:
    ref = plain(reading, ref)
    node = reading.graph[ref.node]
    if not isinstance(node.op, ir.Add) or node.op.scalar is None:
        return Deviation(ref)
    reading.read.add(node.id)
    return Deviation(plain(reading, node.inputs[0]), node.op.scalar)


def squared(reading: Reading, ref: Ref) -> tuple[Ref, ...]:
    """Return the two factors of a product, or what is squared; () where the value is neither."""
    node = reading.graph[plain(reading, ref).node]
    op = node.op
    if isinstance(op, ir.Mul):
        found = op.scalar is None
    else:
        power = isinstance(op, ir.Elementwise) and op.fn in _POWERS and op.number == 2.0
        found = power or op == ir.Elementwise("square")
    if not found:
        return ()
    reading.read.add(node.id)
    return tuple(source_of(reading.graph, source) for source in node.inputs)


def axes_of(reading: Reading, ref: Ref, x: Ref) -> ir.Ints:
    """Return over which axes of ``x`` a reduction of it, or of a view of it, runs; () for none.

    The view may have joined the last axes.
    """
    graph = reading.graph
    node = graph[ref.node]
    if not isinstance(node.op, ir.Reduce):
        return ()
    reading.read.add(node.id)
    axes = tuple(sorted(node.op.axes))
    shape, whole = graph.spec(node.inputs[0]).shape, graph.spec(x).shape
    if source_of(graph, node.inputs[0]) == x or shape == whole:
        return axes
    first = axes[0] if axes else len(shape)
    last = axes == tuple(range(first, len(shape)))
    return tuple(range(first, len(whole))) if last and shape[:first] == whole[:first] else ()


def is_over(reading: Reading, ref: Ref, x: Ref, axes: ir.Ints) -> bool:
    """Tell whether a value has one element for each of what ``axes`` of ``x`` are reduced to."""
    shape = reading.graph.spec(x).shape
    wanted = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return bool(axes) and reading.graph.spec(broadcast(reading, ref)).shape == wanted
