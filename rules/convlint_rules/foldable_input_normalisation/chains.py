"""Chains of sums and products with constants between a model's input and its first layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint.analysis.constants import constants
from convlint.analysis.rescaling import axis_before, is_copy
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

_MOVES = (
    ir.Identity, ir.Reshape, ir.Permute, ir.Slice, ir.Flip, ir.Gather, ir.Upsample, ir.Pad,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One sum (or product) of ``data`` with a number or a constant, perhaps taken inversely.

    ``axis`` is the axis of its result that holds the channels, None where there is one alone.
    """

    node: str
    data: Ref
    is_sum: bool
    axis: int | None
    number: float | None = None
    tensor: Ref | None = None
    inverse: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps before a layer in execution order, and all nodes from the first step to it."""

    anchor: str
    nodes: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def sums(self) -> tuple[int, ...]:
        """The places of the steps that are sums."""
        return tuple(place for place, step in enumerate(self.steps) if step.is_sum)


def chains(graph: ModelGraph) -> Iterator[Chain]:
    """Yield the chains from an input of the model to a convolution or linear layer."""
    known = constants(graph)
    for node in graph:
        if isinstance(node.op, (ir.Conv, ir.Linear)) and node.id not in known:
            chain = _chain(graph, node, known)
            if chain is not None:
                yield chain


def _chain(graph: ModelGraph, layer: Node, known: frozenset[str]) -> Chain | None:
    ref = layer.inputs[0]
    shape = graph.spec(ref).shape
    axis: int | None = 1 if isinstance(layer.op, ir.Conv) else len(shape) - 1
    one = shape[1 if isinstance(layer.op, ir.Conv) else -1] == 1
    steps: list[Step] = []
    between: list[str] = []
    passed: list[str] = []
    while axis is not None or one:
        node = graph[ref.node]
        step = _step(graph, node, axis, known)
        if step is not None:
            steps.append(step)
            between += [*passed, node.id]
            passed, ref = [], step.data
        elif is_copy(graph, node) or isinstance(node.op, (ir.Reshape, ir.Permute)):
            passed.append(node.id)
            axis = None if axis is None else axis_before(graph, node, axis)
            ref = node.inputs[0]
        else:
            break
    if not steps or not _is_input(graph, steps[-1].data):
        return None
    return Chain(layer.id, (*reversed(between), layer.id), tuple(reversed(steps)))


def _step(graph: ModelGraph, node: Node, axis: int | None, known: frozenset[str]) -> Step | None:
    op = node.op
    fn = op.fn if isinstance(op, ir.Elementwise) else ""
    if not node.inputs or not (isinstance(op, (ir.Add, ir.Mul)) or fn in ("sub", "div")):
        return None
    is_sum = isinstance(op, ir.Add) or fn == "sub"
    if isinstance(op, (ir.Add, ir.Mul)) and op.scalar is not None:
        return Step(node.id, node.inputs[0], is_sum, axis, number=op.scalar)
    places = [place for place, ref in enumerate(node.inputs) if ref.node in known]
    if len(node.inputs) != 2 or len(places) != 1 or (fn and places != [1]):
        return None
    tensor, data = node.inputs[places[0]], node.inputs[1 - places[0]]
    shape, rank = graph.spec(tensor).shape, len(node.output.shape)
    varies = {rank - len(shape) + place for place, size in enumerate(shape) if size != 1}
    if graph.spec(data).shape != node.output.shape or varies - {axis}:
        return None
    return Step(node.id, data, is_sum, axis, tensor=tensor, inverse=bool(fn))


def _is_input(graph: ModelGraph, ref: Ref) -> bool:
    """Tell whether a value is an input of the model, moved, resized or cast."""
    node = graph[ref.node]
    while isinstance(node.op, _MOVES) and node.inputs:
        node = graph[node.inputs[0].node]
    return isinstance(node.op, ir.Input)
