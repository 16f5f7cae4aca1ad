"""Peak activation memory by liveness, in execution order."""

from __future__ import annotations

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph

_VIEWS = (ir.Reshape, ir.Permute, ir.Slice, ir.Split, ir.Expand, ir.Identity, ir.Output)


def peak_bytes(graph: ModelGraph) -> int:
    """Return the most bytes of activations alive at once, in execution order.

    A tensor lives from the node that writes it to the last node that reads it or a view of
    it; model inputs and results count, parameters do not. Views and in-place operations
    share their input's memory.
    """
    owner: dict[str, str] = {}
    last: dict[str, int] = {}
    for place, node in enumerate(graph):
        shares = isinstance(node.op, _VIEWS) or node.inplace
        owner[node.id] = owner[node.inputs[0].node] if shares and node.inputs else node.id
        for ref in node.inputs:
            last[owner[ref.node]] = place
        last.setdefault(owner[node.id], place)
    sizes = {
        node.id: sum(spec.bytes for spec in node.outputs)
        for node in graph
        if owner[node.id] == node.id and not _is_weight(node.op)
    }
    dying: dict[int, int] = {}
    for key, place in last.items():
        dying[place] = dying.get(place, 0) + sizes.get(key, 0)
    alive = peak = 0
    for place, node in enumerate(graph):
        alive += sizes.get(node.id, 0)
        peak = max(peak, alive)
        alive -= dying.get(place, 0)
    return peak


def _is_weight(op: ir.Op) -> bool:
    return isinstance(op, ir.Constant) and op.origin in ("parameter", "buffer")
