"""Who needs a map as it lies in memory: a norm over the channels leaves it channels last."""

from __future__ import annotations

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

_KEEPS = (ir.Activation, ir.Add, ir.Mul, ir.Elementwise, ir.Identity)


def view_of(graph: ModelGraph, node: Node) -> Node | None:
    """Return a ``.view`` of a map that joins channels and positions, which torch then refuses.

    Elementwise operations are looked through; what a conv or a pool returns is taken to be laid
    out anew.
    """
    seen, waiting = {node.id}, [node]
    while waiting:
        node = waiting.pop()
        for user in graph.users(node):
            if isinstance(user.op, ir.Reshape) and _joins(node, user):
                return user
            kept = isinstance(user.op, _KEEPS) and user.output.shape == node.output.shape
            if kept and user.id not in seen and user.op != ir.Identity("contiguous"):
                seen.add(user.id)
                waiting.append(user)
    return None


def _joins(node: Node, user: Node) -> bool:
    is_view = user.function in ("Tensor.view", "Tensor.view_as")
    return is_view and user.output.shape[:2] != node.output.shape[:2]
