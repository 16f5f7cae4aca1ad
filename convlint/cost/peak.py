"""Peak activation memory by liveness, in execution order.

The order is the one in which the traced run made its calls. A tensor lives from the node that
writes it to the last node that reads it or a view of it, as in a runtime that plans its memory;
an eager run keeps a tensor as long as a Python name holds it, so it may need more. Model inputs
and results count, parameters and buffers do not. Views and in-place operations use their
input's memory. Scratch memory of kernels is not known and not counted.
"""

from __future__ import annotations

from typing import NamedTuple

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph

_VIEWS = (ir.Reshape, ir.Permute, ir.Slice, ir.Split, ir.Expand, ir.Identity, ir.Output)


class Peak(NamedTuple):
    """The most bytes alive at once, the first node that runs while they are, whose they are."""

    bytes: int
    node: str
    alive: frozenset[str] = frozenset()


def peak(graph: ModelGraph) -> Peak:
    """Return the most bytes of activations alive at once, and where."""
    owner, last = _lifetimes(graph)
    sizes = {
        node.id: sum(spec.bytes for spec in node.outputs)
        for node in graph
        if owner[node.id] == node.id and not _is_weight(node.op)
    }
    dying: dict[int, int] = {}
    for key, place in last.items():
        dying[place] = dying.get(place, 0) + sizes.get(key, 0)
    alive, top = 0, Peak(0, "")
    for place, node in enumerate(graph):
        alive += sizes.get(node.id, 0)
        if alive > top.bytes:
            top = Peak(alive, node.id)
        alive -= dying.get(place, 0)
    return top._replace(alive=_alive_at(graph, top.node, owner, last)) if top.node else top


def _alive_at(
    graph: ModelGraph, node: str, owner: dict[str, str], last: dict[str, int]
) -> frozenset[str]:
    """Return the nodes whose results are in memory that is needed while ``node`` runs."""
    place = graph.order[node]
    return frozenset(
        other.id for other in graph.nodes[: place + 1] if last[owner[other.id]] >= place
    )


def _lifetimes(graph: ModelGraph) -> tuple[dict[str, str], dict[str, int]]:
    """Return the node whose memory each node's result is in, and the last place that needs it."""
    owner: dict[str, str] = {}
    last: dict[str, int] = {}
    for place, node in enumerate(graph):
        shares = isinstance(node.op, _VIEWS) or node.inplace
        owner[node.id] = owner[node.inputs[0].node] if shares and node.inputs else node.id
        for ref in node.inputs:
            last[owner[ref.node]] = place
        last.setdefault(owner[node.id], place)
    return owner, last


def _is_weight(op: ir.Op) -> bool:
    return isinstance(op, ir.Constant) and op.origin in ("parameter", "buffer")
