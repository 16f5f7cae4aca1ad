"""The invariants of a ModelGraph, each stated with the node that breaks it."""

from __future__ import annotations

from convlint.errors import GraphError
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Concat, Conv, Input, Linear, Node, Output, Permute, Reshape, Split


def validate(graph: ModelGraph) -> ModelGraph:
    """Return ``graph``; raise GraphError at the first node that breaks an invariant."""
    if len(graph.by_id) != len(graph.nodes):
        seen: set[str] = set()
        for node in graph:
            _require(node.id not in seen, node, "its id is used twice")
            seen.add(node.id)
    for place, node in enumerate(graph):
        _check_inputs(graph, node, place)
        _check_op(graph, node)
    return graph


def _require(holds: bool, node: Node, what: str) -> None:
    if not holds:
        raise GraphError(what, where=f"node {node.id} ({node.kind})")


def _check_inputs(graph: ModelGraph, node: Node, place: int) -> None:
    for ref in node.inputs:
        _require(ref.node in graph, node, f"reads {ref.node}, which does not exist")
        producer = graph[ref.node]
        _require(graph.order[ref.node] < place, node, f"reads {ref.node} before it has run")
        _require(
            0 <= ref.output < len(producer.outputs),
            node,
            f"reads output {ref.output} of {ref.node}, which has {len(producer.outputs)}",
        )
    for spec in node.outputs:
        _require(all(size >= 0 for size in spec.shape), node, f"has the shape {spec.shape}")


def _check_op(graph: ModelGraph, node: Node) -> None:
    op = node.op
    if isinstance(op, Output):
        _require(not node.outputs, node, "an output has no outputs of its own")
        told = len(op.unread) in (0, len(node.inputs))
        _require(told, node, "has not one word an input that is not read")
        return
    _require(bool(node.outputs), node, "has no outputs")
    if isinstance(op, Input):
        _require(not node.inputs, node, "an input reads nothing")
    elif isinstance(op, Conv):
        _check_conv(graph, node, op)
    elif isinstance(op, Linear):
        _require(
            node.output.shape[-1] == op.out_features, node, "out_features is not its last axis"
        )
    elif isinstance(op, Split):
        _require(len(op.sizes) == len(node.outputs), node, "has not one output a part")
    elif isinstance(op, Concat):
        total = sum(graph.spec(ref).shape[op.axis] for ref in node.inputs)
        _require(node.output.shape[op.axis] == total, node, "is not as long as its parts")
    elif isinstance(op, Permute):
        _require(sorted(op.axes) == list(range(len(op.axes))), node, f"permutes by {op.axes}")
    elif isinstance(op, Reshape):
        before = graph.spec(node.inputs[0]).elements
        _require(node.output.elements == before, node, "changes the number of elements")


def _check_conv(graph: ModelGraph, node: Node, op: Conv) -> None:
    axes = len(op.kernel)
    for name in ("stride", "padding", "dilation"):
        _require(len(getattr(op, name)) == axes, node, f"{name} does not have {axes} axes")
    _require(op.groups >= 1, node, f"has groups={op.groups}")
    _require(op.in_channels % op.groups == 0, node, "groups do not divide in_channels")
    _require(op.out_channels % op.groups == 0, node, "groups do not divide out_channels")
    _require(bool(node.inputs), node, "reads nothing")
    source = graph.spec(node.inputs[0]).shape
    _require(len(source) == axes + 2, node, f"reads the shape {source}")
    _require(source[1] == op.in_channels, node, f"reads {source[1]} channels")
    _require(
        node.output.shape == conv_output_shape(op, source), node, "has not the shape it computes"
    )


def conv_output_shape(op: Conv, source: tuple[int, ...]) -> tuple[int, ...]:
    """Return the output shape of ``op`` on an input of shape ``source``.

    The formulas are those of ``torch.nn.Conv2d`` and ``torch.nn.ConvTranspose2d``.
    """
    sizes = []
    for axis, size in enumerate(source[2:]):
        reach = op.dilation[axis] * (op.kernel[axis] - 1)
        padding = sum(op.padding[axis])
        if op.transposed:
            extra = op.output_padding[axis] if op.output_padding else 0
            sizes.append((size - 1) * op.stride[axis] - padding + reach + extra + 1)
        else:
            sizes.append((size + padding - reach - 1) // op.stride[axis] + 1)
    return (source[0], op.out_channels, *sizes)
