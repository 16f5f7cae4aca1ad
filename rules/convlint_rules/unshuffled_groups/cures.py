"""What connects the groups of two convs: a shuffle that was tried on the graph, or no groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from convlint.analysis import drafting
from convlint.analysis.channel_flow import Flow, Pair, grouped_pairs
from convlint.contract import Context
from convlint.edit import GraphEdit, apply, merge, replace_node
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

MOVEMENTS = (ir.ChannelShuffle, ir.Permute, ir.Gather, ir.Split, ir.Slice, ir.Roll, ir.Concat)


@dataclass(frozen=True, slots=True)
class Cure:
    """The shuffle before ``second`` that connects its groups, 0 where no single one does."""

    second: str
    firsts: tuple[str, ...]
    groups: int


def conv_of(graph: ModelGraph, node_id: str) -> ir.Conv:
    """Return the op of a node that is a convolution."""
    op = graph[node_id].op
    assert isinstance(op, ir.Conv), f"{node_id} is no convolution"
    return op


def cures(graph: ModelGraph, pairs: Sequence[Pair]) -> tuple[Cure, ...]:
    """Return the cure for each second conv, the first that the edited graph proves.

    Tried are the groups of the first conv, of the second, and the other divisors.
    """
    firsts: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        firsts[pair.second] = (*firsts.get(pair.second, ()), pair.first)
    tries = {second: list(_candidates(graph, firsts[second][0], second)) for second in firsts}
    found: dict[str, int] = {}
    while tries:
        trial = {second: groups.pop(0) for second, groups in tries.items() if groups}
        proven = _proven(graph, trial, {first for key in trial for first in firsts[key]})
        found |= {second: trial[second] for second in proven}
        tries = {key: left for key, left in tries.items() if left and key not in found}
    return tuple(Cure(key, members, found.get(key, 0)) for key, members in firsts.items())


def _candidates(graph: ModelGraph, first: str, second: str) -> Iterator[int]:
    channels = graph.spec(graph[second].inputs[0]).shape[1]
    wanted = (conv_of(graph, first).groups, conv_of(graph, second).groups)
    for groups in dict.fromkeys((*wanted, *range(2, channels // 2 + 1))):
        if channels % groups == 0 and groups < channels:
            yield groups


def _proven(graph: ModelGraph, trial: dict[str, int], firsts: set[str]) -> set[str]:
    """Return the second convs whose groups these shuffles connect, all made at once."""
    edits = [shuffle_before(graph, second, groups) for second, groups in trial.items()]
    edited = apply(graph, merge(edits)[0])
    starts = firsts | {_again(first) for first in firsts}
    islands = {p.second for p in grouped_pairs(edited, starts) if p.flow is Flow.ISLANDS}
    return {second for second in trial if _again(second) not in islands}


def shuffle_before(graph: ModelGraph, second: str, groups: int) -> GraphEdit:
    """Return the edit that puts a shuffle right before a conv."""
    node = graph[second]
    source = node.inputs[0]
    op = ir.ChannelShuffle(groups)
    shuffle = drafting.draft(node, "shuffle", op, source, graph.spec(source))
    inputs = (Ref(shuffle.id), *node.inputs[1:])
    again: Node = msgspec.structs.replace(node, id=_again(second), inputs=inputs)
    return replace_node(node, (shuffle, again))


def _again(second: str) -> str:
    return f"{second}~shuffled"


def code(context: Context, found: Sequence[Cure]) -> str:
    """Return the shuffles to write, each once, and the convs to ungroup where none connects."""
    graph = context.graph
    same = len({cure.groups for cure in found}) == 1
    lines: dict[str, None] = {}
    for cure in found:
        node = graph[cure.second]
        if not cure.groups:
            lines[_ungrouped(context, cure)] = None
            continue
        shuffle = f"nn.ChannelShuffle({cure.groups})"
        if drafting.is_functional(node):
            shuffle = f"x = F.channel_shuffle(x, {cure.groups})"
        plain = same and not any(_moved(graph, first, cure.second) for first in cure.firsts)
        where = "between them" if plain else f"right before {node.module or 'the next'}"
        lines[f"{shuffle}  # {where}: 0 MACs, 0 parameters"] = None
    return "\n".join(lines)


def _ungrouped(context: Context, cure: Cure) -> str:
    """Return the code of the conv that costs least without groups."""
    nodes = [context.graph[key] for key in (*cure.firsts, cure.second)]
    ops = {node.id: conv_of(context.graph, node.id) for node in nodes}
    node = min(nodes, key=lambda node: context.cost.macs_of(node.id) * (ops[node.id].groups - 1))
    new = msgspec.structs.replace(ops[node.id], groups=1)
    return f"{drafting.chain_code(node, new)}  # {node.module or 'one of them'} without groups"


def between(graph: ModelGraph, pairs: Sequence[Pair]) -> str:
    """Say what stands between the convs: no shuffle, or one that does not connect."""
    if any(_moved(graph, pair.first, pair.second) for pair in pairs):
        return "what lies between does not connect the groups"
    return "no shuffle between"


def _moved(graph: ModelGraph, first: str, second: str) -> bool:
    """Tell whether channels are moved on any way from one conv to the other."""
    behind, pending = {first}, [second]
    seen: set[str] = set()
    start = graph.order[first]
    while pending:
        key = pending.pop()
        if key in seen or key in behind or graph.order[key] < start:
            continue
        seen.add(key)
        pending += [ref.node for ref in graph[key].inputs]
    return any(isinstance(graph[key].op, MOVEMENTS) for key in seen if graph.order[key] > start)
