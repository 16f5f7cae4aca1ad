"""What keeps convolutions of a concatenation from being split by its parts."""

from __future__ import annotations

from convlint.analysis import mixers
from convlint.analysis.branches import Joined
from convlint.contract import Refusal
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph


def obstacle(graph: ModelGraph, join: Joined) -> Refusal | None:
    """Return why the convolutions of a concatenation cannot be split at all, None where they can."""
    if join.tapped:
        return Refusal("the concatenation has other readers", join.tapped)
    for key in join.convs:
        conv = graph[key]
        assert isinstance(conv.op, ir.Conv)
        if conv.op.groups > 1:
            return Refusal(f"groups={conv.op.groups}: it reads no concatenation whole", (key,))
        if conv.op.computed_weight or mixers.weight_of(conv) is None:
            return Refusal("its weight is computed in forward", (key,))
        others = [other for other in mixers.sharing(graph, conv) if other.id != key]
        if others:
            where = others[0].module or others[0].id
            return Refusal(f"{where} uses the same weight", (others[0].id,))
    return None
