"""Small walks that rules share: what stands before and after a layer, which layers are last."""

from __future__ import annotations

from collections.abc import Iterator

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

POINTWISE = (ir.Norm, ir.Activation, ir.Identity)
"""Operations that stand between two layers without moving anything."""

_WEIGHTED = (ir.Conv, ir.Linear, ir.Matmul, ir.Attention, ir.Recurrent)


def only_user(graph: ModelGraph, node: Node) -> Node | None:
    """Return the one node that reads ``node``; None where several do, or none.

    The Output node counts, so a tensor that the model also returns has no only user.
    """
    users = graph.users(node)
    return users[0] if len(users) == 1 else None


def layer_before(
    graph: ModelGraph, node: Node, through: tuple[type[ir.Op], ...] = POINTWISE
) -> Node | None:
    """Return what feeds ``node`` (its first input), looking through the given operations."""
    while node.inputs:
        node = graph[node.inputs[0].node]
        if not isinstance(node.op, through):
            return node
    return None


def layers_after(
    graph: ModelGraph, node: Node, through: tuple[type[ir.Op], ...] = POINTWISE
) -> tuple[Node, ...]:
    """Return what reads ``node``, looking through the given operations, each node once."""
    found: dict[str, Node] = {}
    seen: set[str] = set()
    pending = list(reversed(graph.users(node)))
    while pending:
        user = pending.pop()
        if user.id in seen:
            continue
        seen.add(user.id)
        if isinstance(user.op, through):
            pending += reversed(graph.users(user))
        else:
            found[user.id] = user
    return tuple(found.values())


def convs(graph: ModelGraph) -> Iterator[tuple[Node, ir.Conv]]:
    """Yield every convolution with its op, in execution order."""
    for node in graph:
        if isinstance(node.op, ir.Conv):
            yield node, node.op


def activation_after(graph: ModelGraph, node: Node) -> str | None:
    """Return the function that follows ``node``, through norms; None where none follows."""
    for user in layers_after(graph, node, (ir.Norm, ir.Identity)):
        if isinstance(user.op, ir.Activation):
            return user.op.fn
    return None


def last_layers(graph: ModelGraph) -> frozenset[str]:
    """Return the convolutions and linears that no other weighted layer comes after."""
    followed: set[str] = set()
    last = set()
    for node in reversed(graph.nodes):
        weighted = isinstance(node.op, _WEIGHTED)
        if weighted and node.id not in followed:
            last.add(node.id)
        if weighted or node.id in followed:
            followed.update(ref.node for ref in node.inputs)
    return frozenset(last)


def prediction_convs(graph: ModelGraph) -> frozenset[str]:
    """Return the convolutions that produce the model's predictions.

    Such a conv is a last layer with at most 4 channels (counted after a pixel shuffle, where
    one follows), a last layer of one tap, or a last layer with as many channels as a last layer
    of one tap (or a last linear) has: the classes or anchors. Where a model has last layers of
    different widths (classes and boxes), those that no norm or activation follows are such layers
    too. Else a wide last conv is like any other.
    """
    last = [graph[key] for key in last_layers(graph)]
    widths = {width for node in last if (width := _width(node.op))}
    classes = {_width(node.op) for node in last if _taps(node.op) == 1}
    return frozenset(
        node.id
        for node in last
        if isinstance(node.op, ir.Conv)
        and (
            _shown_channels(graph, node, node.op) <= 4
            or node.op.out_channels in classes
            or (len(widths) > 1 and _is_bare(graph, node))
        )
    )


def _width(op: ir.AnyOp) -> int:
    if isinstance(op, ir.Conv):
        return op.out_channels
    return op.out_features if isinstance(op, ir.Linear) else 0


def _taps(op: ir.AnyOp) -> int:
    if isinstance(op, ir.Conv):
        return op.taps
    return 1 if isinstance(op, ir.Linear) else 0


def _is_bare(graph: ModelGraph, node: Node) -> bool:
    """Tell a layer that nothing follows but what turns its values into probabilities."""
    after = layers_after(graph, node, (ir.Identity,))
    return not any(
        isinstance(user.op, ir.Norm)
        or (isinstance(user.op, ir.Activation) and user.op.fn != "sigmoid")
        for user in after
    )


def _shown_channels(graph: ModelGraph, node: Node, op: ir.Conv) -> int:
    """Return the channels of a conv, those left where pixel shuffles alone read it."""
    after = layers_after(graph, node)
    shuffles = [user for user in after if isinstance(user.op, ir.PixelShuffle)]
    if not shuffles or len(shuffles) < len(after):
        return op.out_channels
    return max(user.output.shape[-1 - len(op.kernel)] for user in shuffles)
