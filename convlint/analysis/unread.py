"""What runs for outputs that nobody reads alone."""

from __future__ import annotations

from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Input, Node, Output, Ref


def ending(graph: ModelGraph) -> Output:
    """Return what the model returns; nothing in particular where the run was cut short."""
    end = graph.model_output
    return end.op if end is not None and isinstance(end.op, Output) else Output()


def unread_outputs(graph: ModelGraph) -> dict[Ref, str]:
    """Return what the model returns and nobody reads, each with its name."""
    end, names = graph.model_output, ending(graph).unread
    if end is None or not names:
        return {}
    return {ref: name for ref, name in zip(end.inputs, names, strict=True) if name}


def needed(graph: ModelGraph) -> frozenset[str]:
    """Return the nodes that an output depends on which somebody reads."""
    end, unread = graph.model_output, unread_outputs(graph)
    return _above(graph, [ref for ref in end.inputs if ref not in unread]) if end else frozenset()


def idle_groups(graph: ModelGraph) -> tuple[tuple[Node, ...], ...]:
    """Return the nodes that run for unread outputs alone, those that read each other together.

    Inputs of the model are none of them; what reads such a node and leads nowhere is one.
    """
    alive = needed(graph)
    dead = _above(graph, list(unread_outputs(graph))) - alive
    group: dict[str, list[Node]] = {}
    for node in graph:
        sources = [key for ref in node.inputs if (key := ref.node) in group]
        if isinstance(node.op, (Input, Output)) or not (node.id in dead or sources):
            continue
        joined = {id(group[key]): group[key] for key in sources}
        members, *others = sorted(joined.values(), key=len, reverse=True) or [[]]
        for each in (*(each for other in others for each in other), node):
            members.append(each)
            group[each.id] = members
    lists = {id(members): members for members in group.values()}
    sets = [sorted(members, key=lambda node: graph.order[node.id]) for members in lists.values()]
    return tuple(map(tuple, sorted(sets, key=lambda nodes: graph.order[nodes[0].id])))


def _above(graph: ModelGraph, refs: list[Ref]) -> frozenset[str]:
    """Return the nodes that these outputs are made by, and all before them."""
    found: set[str] = set()
    waiting = [ref.node for ref in refs]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [ref.node for ref in graph[key].inputs]
    return frozenset(found)
