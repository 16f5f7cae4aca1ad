"""The code of a sum of convolutions that takes the place of one of a concatenation."""

from __future__ import annotations

from convlint.analysis import branches, mixers, pointwise
from convlint.analysis.branches import Group, Joined
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

NAMES = "abcdefghijklmnopqrstuvw"


def way(graph: ModelGraph, group: Group) -> str:
    """Return "256 channels of bilinear upsampling from 16x16"."""
    growth = graph[group.branches[0].growth]
    return f"{group.channels} channels of {pointwise.resize_words(graph, growth)}"


def code(graph: ModelGraph, join: Joined, groups: tuple[Group, ...]) -> str:
    """Return the sum as code over a, b, c, … for the groups, and how the weight is cut."""
    conv = graph[join.convs[0]]
    made = {node.id: node for node in branches.split(graph, join, groups).added}
    ranges = branches.ranges_of(join, groups)
    parts: list[Group | None] = [None, *groups] if len(ranges) > len(groups) else [*groups]
    names = _names(parts)
    lines, cuts = [], []
    for place, (name, group, each) in enumerate(zip(names, parts, ranges, strict=True)):
        call = f"conv_{name}({name})"
        if group is not None and not (group.constant and place):
            call = pointwise.resize_code(graph[group.branches[0].growth], call)
        part = made[branches.part_id(conv.id, each)]
        lines.append(f"x = {'x + ' if place else ''}{call}  # {mixers.code(part)}")
        cuts.append(f"conv_{name} {_cut(each)}{_summed(conv, part)}")
    if len(ranges) > 1:
        lines.append(f"# the old weight w, cut: {'; '.join(cuts)}")
    return "\n".join(lines)


def _names(parts: list[Group | None]) -> list[str]:
    free = iter(NAMES)
    return ["rest" if part is None else next(free, "z") for part in parts]


def _cut(ranges: branches.Ranges) -> str:
    """Return "w[:, 0:256]"."""
    parts = [f"w[:, {start}:{stop}]" for start, stop in ranges]
    return parts[0] if len(parts) == 1 else f"torch.cat([{', '.join(parts)}], 1)"


def _summed(conv: Node, part: Node) -> str:
    """Return the sum over the taps where the part has one tap left of many."""
    assert isinstance(conv.op, ir.Conv) and isinstance(part.op, ir.Conv)
    axes = tuple(range(2, 2 + len(conv.op.kernel)))
    return "" if conv.op.kernel == part.op.kernel else f".sum({axes}, keepdim=True)"
