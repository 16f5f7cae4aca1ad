"""GraphEdit: what a rewrite takes out of a ModelGraph and puts in.

A saving is the cost of the graph minus the cost of the edited graph; nothing is
ever typed in. Edits are data, so that several can be merged and made at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from convlint.errors import GraphError
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Output, Ref
from convlint.ir.validate import validate


@dataclass(frozen=True, slots=True)
class GraphEdit:
    """Nodes taken out, nodes put in, and who stands for the outputs taken out.

    ``removed`` are ids of existing nodes. ``added`` are new nodes, in order, with ids
    that do not exist yet. ``redirect`` maps each output of a removed node that others
    still read to the output that replaces it; it is followed until it ends. ``unused`` are
    storages that no node reads and that go too, ``unread`` what the model no longer returns.
    """

    removed: frozenset[str]
    added: tuple[Node, ...] = ()
    redirect: Mapping[Ref, Ref] = field(default_factory=dict)
    unused: frozenset[str] = frozenset()
    unread: frozenset[Ref] = frozenset()


def replace_node(node: Node, added: Sequence[Node]) -> GraphEdit:
    """Return the edit that puts the chain ``added`` in the place of ``node``."""
    last = added[-1]
    redirect = {Ref(node.id, i): Ref(last.id, i) for i in range(len(node.outputs))}
    return GraphEdit(frozenset({node.id}), tuple(added), redirect)


def merge(edits: Iterable[GraphEdit]) -> tuple[GraphEdit, tuple[int, ...]]:
    """Return one edit made of all compatible ones, and the places of those left out.

    An edit is left out where an earlier one already took a node that it takes.
    """
    removed: set[str] = set()
    unused: set[str] = set()
    unread: set[Ref] = set()
    added: list[Node] = []
    redirect: dict[Ref, Ref] = {}
    skipped = []
    for place, edit in enumerate(edits):
        if edit.removed & removed:
            skipped.append(place)
            continue
        removed |= edit.removed
        added.extend(edit.added)
        redirect.update(edit.redirect)
        unused |= edit.unused
        unread |= edit.unread
    made = GraphEdit(
        frozenset(removed), tuple(added), redirect, frozenset(unused), frozenset(unread)
    )
    return made, tuple(skipped)


def apply(graph: ModelGraph, edit: GraphEdit) -> ModelGraph:
    """Return the edited graph, in a valid execution order, validated.

    Raises GraphError where the edit names nodes that are not there, where a removed
    output is still read, or where the result breaks an invariant.
    """
    for node_id in edit.removed:
        if node_id not in graph:
            raise GraphError("the edit removes a node that is not there", where=node_id)
    kept = [_without(node, edit.unread) for node in graph if node.id not in edit.removed]
    rewired = [_rewire(node, edit.redirect) for node in (*kept, *edit.added)]
    unused = tuple(param for param in graph.unused if param.storage not in edit.unused)
    return validate(ModelGraph(_sort(graph, rewired), unused))


def _without(node: Node, unread: frozenset[Ref]) -> Node:
    """Return the Output node without what the model no longer returns; any other as it is."""
    op = node.op
    if not isinstance(op, Output) or unread.isdisjoint(node.inputs):
        return node
    left = [place for place, ref in enumerate(node.inputs) if ref not in unread]
    names = tuple(op.unread[place] for place in left) if op.unread else ()
    return msgspec.structs.replace(
        node,
        op=msgspec.structs.replace(op, unread=names),
        inputs=tuple(node.inputs[place] for place in left),
    )


def _rewire(node: Node, redirect: Mapping[Ref, Ref]) -> Node:
    inputs = tuple(_follow(ref, redirect) for ref in node.inputs)
    return node if inputs == node.inputs else msgspec.structs.replace(node, inputs=inputs)


def _follow(ref: Ref, redirect: Mapping[Ref, Ref]) -> Ref:
    seen = set()
    while ref in redirect:
        if ref in seen:
            raise GraphError("the edit redirects in a circle", where=ref.node)
        seen.add(ref)
        ref = redirect[ref]
    return ref


def _sort(graph: ModelGraph, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the nodes with producers first, else in the original order (Kahn)."""
    by_id = {node.id: node for node in nodes}
    waiting: dict[str, int] = {}
    users: dict[str, list[str]] = {node.id: [] for node in nodes}
    for node in nodes:
        sources = {ref.node for ref in node.inputs}
        for source in sources:
            if source not in by_id:
                raise GraphError(f"reads {source}, which the edit removed", where=f"node {node.id}")
            users[source].append(node.id)
        waiting[node.id] = len(sources)
    place = {node.id: (graph.order.get(node.id, len(graph) + i), i) for i, node in enumerate(nodes)}
    ready = [(place[key], key) for key, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    ordered = []
    while ready:
        _, key = heapq.heappop(ready)
        ordered.append(by_id[key])
        for user in users[key]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, (place[user], user))
    if len(ordered) != len(nodes):
        raise GraphError("the edit makes a cycle")
    return tuple(ordered)
