"""Norms that are computed step by step: where they are, and over which axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from convlint_rules.composed_activation import spread
from convlint_rules.composed_activation.affine import Affine, Form, affine_of, forms
from convlint_rules.composed_activation.reading import Reading, close, largest
from convlint_rules.composed_activation.spread import Deviation

from convlint.analysis.readers import source_of
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


@dataclass(frozen=True, slots=True)
class Core:
    """(x - mean) / deviation over ``axes`` of ``source``, or x / root mean square (``rms``)."""

    source: Ref
    axes: ir.Ints
    deviation: Deviation
    correction: float = 0.0
    rms: bool = False


@dataclass(frozen=True, slots=True)
class Normalised:
    """The steps that compute a norm; the anchor is the last of them.

    ``form`` is None where torch has no norm of these axes.
    """

    anchor: str
    nodes: tuple[str, ...]
    core: Core
    form: Form | None
    weight: Affine | None = None
    bias: Affine | None = None


def normalised(graph: ModelGraph) -> Iterator[Normalised]:
    """Yield the largest norms written by hand, in execution order of their last steps."""
    yield from largest([one for node in graph if _divides(node) for one in _at(graph, node)])


def _divides(node: Node) -> bool:
    return isinstance(node.op, ir.Mul) or (
        node.op == ir.Elementwise("div") and len(node.inputs) == 2
    )


def _at(graph: ModelGraph, node: Node) -> Iterator[Normalised]:
    number, over, under = _fraction(Reading(graph), node)
    if not close(number, 1.0) or len(over) + len(under) not in (2, 3) or len(under) > 1:
        return
    for scale in under or over:
        rest = [ref for ref in over if ref != scale]
        for x in rest:
            others = [ref for ref in rest if ref != x]
            for read in (_centred, _root_mean_square):
                reading = Reading(graph)
                _fraction(reading, node)
                core = read(reading, x, scale, spread.deviation if under else spread.inverse)
                if core is not None and 1 + len(others) == len(rest):
                    one = _dressed(reading, node, core, others)
                    if one is not None:
                        yield one
                        return


def _fraction(reading: Reading, node: Node) -> tuple[float, list[Ref], list[Ref]]:
    """Return a product as a number, its other factors and what it is divided by."""
    graph = reading.graph
    reading.read.add(node.id)
    number = node.op.scalar if isinstance(node.op, ir.Mul) else None
    total = 1.0 if number is None else number
    quotient = not isinstance(node.op, ir.Mul)
    parts = node.inputs[:1] if quotient else node.inputs
    over: list[Ref] = []
    under = [node.inputs[1]] if quotient else []
    for ref in parts:
        inner = graph[source_of(graph, ref).node]
        if _divides(inner) and len(graph.users(inner)) == 1:
            times, more, less = _fraction(reading, reading.node(ref))
            total, over, under = total * times, over + more, under + less
        else:
            over.append(ref)
    return total, over, under


# --- the statistics ---------------------------------------------------------------------

Read = Callable[[Reading, Ref], Deviation | None]


def _centred(reading: Reading, y: Ref, scale: Ref, read: Read) -> Core | None:
    """Return the norm that (x - mean) over a deviation is."""
    graph = reading.graph
    node = graph[source_of(graph, y).node]
    if node.op != ir.Elementwise("sub") or len(node.inputs) != 2:
        return None
    x, found = source_of(graph, node.inputs[0]), read(reading, spread.broadcast(reading, scale))
    axes = _mean_axes(reading, node.inputs[1], x)
    if found is None or not axes or not spread.is_over(reading, scale, x, axes):
        return None
    correction = _correction(reading, found, x, axes)
    reading.node(y)
    return None if correction is None else Core(x, axes, found, correction)


def _root_mean_square(reading: Reading, y: Ref, scale: Ref, read: Read) -> Core | None:
    """Return the norm that x over the root of its mean square is."""
    graph = reading.graph
    x, found = source_of(graph, y), read(reading, spread.broadcast(reading, scale))
    if found is None or found.root or found.variance.output:
        return None
    mean = graph[found.variance.node]
    if not isinstance(mean.op, ir.Reduce) or mean.op.fn != "mean":
        return None
    axes = spread.axes_of(reading, found.variance, x)
    squared = set(spread.squared(reading, mean.inputs[0]))
    if squared != {x} or not spread.is_over(reading, scale, x, axes):
        return None
    return Core(x, axes, found, rms=True)


def _mean_axes(reading: Reading, ref: Ref, x: Ref) -> ir.Ints:
    """Return the axes of ``x`` over which a value is its mean, () where it is not."""
    found = spread.plain(reading, spread.broadcast(reading, ref))
    node = reading.graph[found.node]
    place = {"mean": 0, "var_mean": 1, "std_mean": 1}
    if not isinstance(node.op, ir.Reduce) or place.get(node.op.fn) != found.output:
        return ()
    axes = spread.axes_of(reading, found, x)
    same = spread.plain(reading, node.inputs[0], x) == x
    return axes if same and spread.is_over(reading, ref, x, axes) else ()


def _correction(reading: Reading, found: Deviation, x: Ref, axes: ir.Ints) -> float | None:
    """Return what the variance takes off the count; None where it is none of ``x`` and axes."""
    ref, graph = found.variance, reading.graph
    node = graph[ref.node]
    if not isinstance(node.op, ir.Reduce) or spread.axes_of(reading, ref, x) != axes:
        return None
    if node.op.fn == "mean" and not found.root:
        squared = spread.squared(reading, node.inputs[0])
        centred = all(_is_centred(reading, part, x, axes) for part in squared)
        return 0.0 if squared and centred else None
    names = ("std", "std_mean") if found.root else ("var", "var_mean")
    if node.op.fn not in names or ref.output:
        return None
    inner = spread.plain(reading, node.inputs[0], x)
    return node.op.correction if inner == x or _is_centred(reading, inner, x, axes) else None


def _is_centred(reading: Reading, ref: Ref, x: Ref, axes: ir.Ints) -> bool:
    graph = reading.graph
    node = graph[ref.node]
    if node.op != ir.Elementwise("sub") or len(node.inputs) != 2:
        return False
    reading.read.add(node.id)
    return source_of(graph, node.inputs[0]) == x and _mean_axes(reading, node.inputs[1], x) == axes


# --- weight and bias --------------------------------------------------------------------


def _dressed(reading: Reading, node: Node, core: Core, others: list[Ref]) -> Normalised | None:
    """Return the norm with the weight among its factors and the bias added to it."""
    graph = reading.graph
    if graph.spec(core.source) != node.output or core.deviation.eps < 0:
        return None
    shape = node.output.shape
    found = []
    for form in forms(core.axes, len(shape), rms=core.rms):
        weight = affine_of(graph, others[0], shape, core.axes, form, "weight") if others else None
        if others and weight is None:
            continue
        end, bias = _bias(graph, node, core, form) if weight and not core.rms else (node, None)
        if form is Form.INSTANCE and weight and not bias:
            continue  # nn.InstanceNorm2d has both or none
        found.append((end, form, weight, bias))
    if not found:
        return None if others else _made(reading, node, core, None)
    end, form, weight, bias = max(found, key=lambda one: (one[2] is not None, one[3] is not None))
    return _made(reading, end, core, form, weight, bias)


def _bias(graph: ModelGraph, node: Node, core: Core, form: Form) -> tuple[Node, Affine | None]:
    """Return the sum of a norm and its bias, and the bias; the norm where there is none."""
    users = graph.users(node)
    if len(users) == 1 and users[0].op == ir.Add() and users[0].output == node.output:
        others = [ref for ref in users[0].inputs if ref != Ref(node.id)]
        for ref in others[:1]:
            bias = affine_of(graph, ref, node.output.shape, core.axes, form, "bias")
            if bias is not None:
                return users[0], bias
    return node, None


def _made(
    reading: Reading, end: Node, core: Core, form: Form | None,
    weight: Affine | None = None, bias: Affine | None = None,
) -> Normalised:  # fmt: skip
    steps = (reading.read | {end.id}) - {core.source.node}
    nodes = tuple(sorted(steps, key=reading.graph.order.__getitem__))
    return Normalised(end.id, nodes, core, form, weight, bias)


def trouble(graph: ModelGraph, site: Normalised) -> str:
    """Return why no call of torch computes a norm as it is written, "" where one does."""
    core, shape = site.core, graph.spec(site.core.source).shape
    count = math.prod(shape[axis] for axis in core.axes)
    if core.correction:
        less = f"{count - core.correction:g}"
        return f"its variance is unbiased: it divides by {less}, torch's norms by {count}"
    if core.deviation.outside:
        return f"adds its eps of {core.deviation.eps:g} after the root, torch's norms before it"
    if site.form is None:
        axes = ", ".join(map(str, core.axes))
        return f"takes its mean over axes ({axes}) of {len(shape)}, as no norm of torch does"
    if core.rms and site.form is Form.CHANNELS:
        return (
            "an RMS norm over the channels in front: torch has it over the last axes only, and "
            "with the permutations it takes up to twice the time"
        )
    if site.form is Form.INSTANCE and (count == 1 or not core.deviation.eps):
        what = "over one element" if count == 1 else "without an eps"
        return f"divides by the deviation {what}, which torch's instance norm does not"
    return ""
