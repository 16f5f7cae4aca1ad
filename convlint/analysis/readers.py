"""Who reads a value, how a node is left out, and what nobody reads once others are gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


def readers(graph: ModelGraph, ref: Ref) -> tuple[Node, ...]:
    """Return the nodes that read this one output, the Output node among them."""
    return tuple(user for user in graph.users(graph[ref.node]) if ref in user.inputs)


def last_readers(graph: ModelGraph, ref: Ref) -> tuple[Node, ...]:
    """Return who reads this output, looking through what does nothing in eval mode."""
    found: list[Node] = []
    for node in readers(graph, ref):
        if node.outputs and source_of(graph, Ref(node.id)) != Ref(node.id):
            found += last_readers(graph, Ref(node.id))
        else:
            found.append(node)
    return tuple(found)


def bypass(node: Node) -> GraphEdit:
    """Return the edit that has everybody read what ``node`` reads, in place of its result."""
    return GraphEdit(frozenset({node.id}), redirect={Ref(node.id): node.inputs[0]})


def source_of(graph: ModelGraph, ref: Ref) -> Ref:
    """Return what ``ref`` is a copy of, looking through what does nothing in eval mode."""
    node = graph[ref.node]
    while (
        isinstance(node.op, ir.Identity) and node.output.dtype == graph.spec(node.inputs[0]).dtype
    ):
        ref = node.inputs[0]
        node = graph[ref.node]
    return ref


def left_unread(graph: ModelGraph, removed: Collection[str], refs: Iterable[Ref]) -> frozenset[str]:
    """Return ``removed``, and of what made ``refs`` the nodes that nobody else reads.

    The model's inputs stay.
    """
    gone = set(removed)
    waiting = [ref.node for ref in refs]
    while waiting:
        node = graph[waiting.pop()]
        if node.id in gone or isinstance(node.op, ir.Input):
            continue
        if all(user.id in gone for user in graph.users(node)):
            gone.add(node.id)
            waiting += [ref.node for ref in node.inputs]
    return frozenset(gone)
