"""The linear branches of a sum, and the one convolution that does what they do together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convlint.analysis import drafting
from convlint.analysis.readers import source_of
from convlint.analysis.rescaling import has_own_weight, is_plain_batch_norm
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref
from convlint.ir.validate import conv_output_shape

_MOST_TERMS = 64


@dataclass(frozen=True, slots=True)
class Branch:
    """A term of a sum: ``source``, through ``conv`` if there is one, then through ``norms``.

    ``nodes`` are all of it in execution order; empty where the term is the source itself.
    """

    place: int
    source: Ref
    conv: str | None
    norms: tuple[str, ...]
    nodes: tuple[str, ...]


def terms(graph: ModelGraph, root: Node) -> tuple[list[Ref], list[str], float]:
    """Return what a tree of sums adds up, the sums in it, and the numbers added.

    Nothing where a term is broadcast, or where there are too many.
    """
    found: list[Ref] = []
    adds: list[str] = []
    scalar = 0.0
    waiting = [Ref(root.id)]
    while waiting and len(found) < _MOST_TERMS:
        ref = waiting.pop()
        node = graph[ref.node]
        alone = node.id == root.id or len(graph.users(node)) == 1
        if isinstance(node.op, ir.Add) and alone and node.output == root.output:
            adds.append(node.id)
            scalar += node.op.scalar or 0.0
            waiting += reversed(node.inputs)
        else:
            found.append(ref)
    if waiting or any(graph.spec(ref) != root.output for ref in found):
        return [], [], 0.0
    return found, adds, scalar


def branch(graph: ModelGraph, term: Ref, place: int) -> Branch:
    """Return the linear branch that ends in ``term``: as far back as one tensor leads."""
    nodes: list[str] = []
    norms: list[str] = []
    ref = term
    while True:
        node = graph[ref.node]
        alone = len(graph.users(node)) == 1
        if alone and isinstance(node.op, ir.Identity) and graph.spec(node.inputs[0]) == node.output:
            nodes.append(node.id)
        elif alone and is_plain_batch_norm(node):
            nodes.append(node.id)
            norms.append(node.id)
        else:
            break
        ref = node.inputs[0]
    conv = None
    node = graph[ref.node]
    if isinstance(node.op, ir.Conv) and len(graph.users(node)) == 1:
        conv = node.id
        nodes.append(node.id)
        ref = node.inputs[0]
    source = source_of(graph, ref)
    return Branch(place, source, conv, tuple(reversed(norms)), tuple(reversed(nodes)))


def fault(graph: ModelGraph, branch: Branch, source: Ref) -> str:
    """Return why a branch cannot be part of one kernel, empty where it can."""
    if branch.conv is None:
        return ""
    op = graph[branch.conv].op
    assert isinstance(op, ir.Conv)
    if op.transposed:
        return "a branch is a transposed conv"
    if op.computed_weight or not has_own_weight(graph[branch.conv]):
        return "a branch has a computed kernel"
    if len(graph.spec(source).shape) != len(op.kernel) + 2:
        return "a branch has other axes"
    return ""


def merged(
    graph: ModelGraph, branches: Sequence[Branch], source: Ref, scalar: float = 0.0
) -> ir.Conv | str:
    """Return the convolution that does what the branches do together, or why there is none.

    ``scalar`` is what the sum adds to them.
    """
    ops = [
        op
        for one in branches
        if isinstance(op := graph[one.conv or ""].op if one.conv else None, ir.Conv)
    ]
    first = ops[0]
    if any(op.stride != first.stride for op in ops):
        return "the branches have different strides"
    plain = any(branch.conv is None for branch in branches)
    if plain and (max(first.stride) > 1 or first.in_channels != first.out_channels):
        return "the tensor itself has another size than the branches"
    padded = [op for op in ops if any(side for sides in op.padding for side in sides)]
    modes = sorted({op.padding_mode for op in padded}) or ["zeros"]
    if len(modes) > 1:
        return f"one branch has padding of {modes[0]}, another of {modes[1]}"
    grid = [_axis(ops, axis, plain) for axis in range(len(first.kernel))]
    biased = any(op.bias for op in ops) or any(branch.norms for branch in branches)
    biased = biased or scalar != 0
    groups = math.gcd(*(op.groups for op in ops))
    made = ir.Conv(
        in_channels=first.in_channels,
        out_channels=first.out_channels,
        kernel=tuple(taps for taps, _, _ in grid),
        stride=first.stride,
        padding=tuple((left, left) for _, _, left in grid),
        dilation=tuple(step for _, step, _ in grid),
        groups=groups,
        bias=biased,
        padding_mode=modes[0],
    )
    shape = graph.spec(source).shape
    if len({conv_output_shape(op, shape) for op in ops}) > 1:
        return "the branches have different sizes"
    if conv_output_shape(made, shape) != conv_output_shape(first, shape):
        return "the branches' kernels do not share a centre"
    return made


def _axis(ops: Sequence[ir.Conv], axis: int, plain: bool) -> tuple[int, int, int]:
    """Return taps, dilation and padding of one axis: the grid on which all branches' taps lie.

    The padding is that before the first position. As much behind the last one reads nothing else
    where the size comes out right.
    """
    places = sorted(
        {place for op in ops for place in places_of(op, axis)} | ({0} if plain else set())
    )
    step = math.gcd(*(place - places[0] for place in places)) or 1
    taps = (places[-1] - places[0]) // step + 1
    return taps, step, -places[0]


def places_of(op: ir.Conv, axis: int) -> list[int]:
    """Return which inputs the taps of one axis read, counted from the output's own position."""
    start, step = -op.padding[axis][0], op.dilation[axis]
    return [start + tap * step for tap in range(op.kernel[axis])]


def words(graph: ModelGraph, branch: Branch) -> str:
    """Return how a branch is called: "3x3 conv + norm", "norm", "identity"."""
    parts = []
    if branch.conv is not None:
        op = graph[branch.conv].op
        assert isinstance(op, ir.Conv)
        parts.append(f"{drafting.extent(op.kernel)} conv")
    if branch.norms:
        parts.append("norm")
    return " + ".join(parts) or "identity"
