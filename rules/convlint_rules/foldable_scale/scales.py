"""Products with a constant, and the layer before them that could hold it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint.analysis.constants import constants
from convlint.analysis.rescaling import Way, channel_axis, is_copy, is_plain_batch_norm, way_back
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

HOMOGENEOUS = frozenset({"relu", "leaky_relu", "prelu", "rrelu"})
"""Activations with f(c x) = c f(x) for every c > 0."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A product of ``data`` with a number or with a constant tensor (divided by it: ``inverse``).

    ``axis`` is the axis of the product on which the tensor varies: None for one value, -1 where
    it varies over several.
    """

    node: Node
    data: Ref
    number: float | None = None
    tensor: Ref | None = None
    inverse: bool = False
    axis: int | None = None

    @property
    def is_positive(self) -> bool:
        """Whether the factor is known and greater than 0."""
        return self.number is not None and self.number > 0


@dataclass(frozen=True, slots=True)
class Scaled:
    """A scale, and the layer that could hold it: the first one before it."""

    anchor: str
    nodes: tuple[str, ...]
    scale: Scale
    axis: int | None


def scaled(graph: ModelGraph) -> Iterator[Scaled]:
    """Yield every product with a constant that comes after a convolution, linear or batch norm."""
    known = constants(graph)
    for node in graph:
        scale = _scale(graph, node, known)
        way = None if scale is None else _way(graph, scale)
        if scale is None or way is None or channel_axis(way.end) is None or way.end.id in known:
            continue
        nodes = (way.end.id, *(n.id for n in way.between), node.id)
        yield Scaled(way.end.id, nodes, scale, way.axis)


def _way(graph: ModelGraph, scale: Scale) -> Way | None:
    axis = scale.axis if scale.axis is None or scale.axis >= 0 else None
    return way_back(graph, scale.data, axis, lambda node: _passes(graph, node))


def _scale(graph: ModelGraph, node: Node, known: frozenset[str]) -> Scale | None:
    op = node.op
    is_product, is_quotient = isinstance(op, ir.Mul), op == ir.Elementwise("div")
    if not (is_product or is_quotient) or not node.inputs:
        return None
    if isinstance(op, ir.Mul) and op.scalar is not None:
        same = graph.spec(node.inputs[0]) == node.output
        return Scale(node, node.inputs[0], op.scalar) if same else None
    places = [place for place, ref in enumerate(node.inputs) if ref.node in known]
    if len(node.inputs) != 2 or len(places) != 1 or (is_quotient and places != [1]):
        return None
    data, tensor = node.inputs[1 - places[0]], node.inputs[places[0]]
    if graph.spec(data) != node.output:
        return None
    axis = _axis(graph.spec(tensor).shape, len(node.output.shape))
    return Scale(node, data, None, tensor, is_quotient, axis)


def _axis(shape: ir.Ints, rank: int) -> int | None:
    """Return the axis of the product along which a factor of this shape varies."""
    places = [rank - len(shape) + place for place, size in enumerate(shape) if size != 1]
    if not places:
        return None
    return places[0] if len(places) == 1 else -1


def _passes(graph: ModelGraph, node: Node) -> bool:
    """Tell what may stand between: what a factor passes through, and what is refused by name."""
    op = node.op
    if isinstance(op, ir.Reduce):
        return op.fn in ("mean", "sum")
    if isinstance(op, ir.Pool):
        return op.type in ("avg", "max")
    if isinstance(op, ir.Norm):
        return not is_plain_batch_norm(node)
    return is_copy(graph, node) or isinstance(
        op, (ir.Reshape, ir.Permute, ir.Upsample, ir.Pad, ir.Activation)
    )


def obstacle(graph: ModelGraph, site: Scaled) -> tuple[Node, str] | None:
    """Return a node between that the factor does not pass, and why."""
    for key in site.nodes[1:-1]:
        node, op = graph[key], graph[key].op
        if isinstance(op, ir.Pad) and op.mode == "constant" and op.value != 0:
            return node, f"pads with {op.value:g}, which is scaled too"
        if isinstance(op, ir.Norm):
            return node, "undoes a factor before it"
        curved = isinstance(op, (ir.Activation, ir.Pool)) and getattr(op, "type", "") != "avg"
        if not curved:
            continue
        name = op.fn if isinstance(op, ir.Activation) else "max pooling"
        if isinstance(op, ir.Activation) and name not in HOMOGENEOUS:
            return node, f"{name} stands between, which no factor passes"
        if not site.scale.is_positive:
            return node, f"{name} stands between, which only a factor known to be positive passes"
    return None


def signature(graph: ModelGraph, ref: Ref) -> object:
    """Return what is equal for two constants of one value: operations, shapes and parameters."""
    node = graph[ref.node]
    return (
        node.op,
        ref.output,
        tuple(spec.shape for spec in node.outputs),
        tuple(param.storage for param in node.params),
        tuple(signature(graph, source) for source in node.inputs),
    )
