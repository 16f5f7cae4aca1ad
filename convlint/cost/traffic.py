"""Bytes that a node moves when nothing is fused: what it reads and what it writes.

Every operation that computes reads each of its input tensors and its weights once from memory
and writes its results once. Views (reshape, permute, slice, split, expand) and the model's
inputs, outputs and constants move nothing. This is what an eager run moves at least: caches
save less of it the larger the maps, and a compiler that fuses norms and activations into the
conv before them saves most of theirs.
"""

from __future__ import annotations

from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, Param, TensorSpec

FREE = (
    ir.Input,
    ir.Output,
    ir.Constant,
    ir.Reshape,
    ir.Permute,
    ir.Slice,
    ir.Split,
    ir.Expand,
    ir.Identity,
)
"""Operations that move no bytes. A permuted tensor that is copied later is not seen."""


def bytes_written(node: Node) -> int:
    """Return the bytes of the results; those of an in-place node count too."""
    return 0 if isinstance(node.op, FREE) else sum(spec.bytes for spec in node.outputs)


def bytes_read(node: Node, inputs: tuple[TensorSpec, ...]) -> int:
    """Return the bytes of the inputs, each tensor once, and of the weights and buffers.

    A lookup (embedding, gather) reads of its table what it returns.
    """
    if isinstance(node.op, FREE):
        return 0
    if isinstance(node.op, (ir.Embedding, ir.Gather)):
        return sum(spec.bytes for spec in node.outputs) + sum(spec.bytes for spec in inputs[1:])
    tensors = dict(zip(node.inputs, inputs, strict=True))
    weights = own(node.params).values()
    return sum(spec.bytes for spec in tensors.values()) + sum(param.bytes for param in weights)


def own(params: tuple[Param, ...]) -> dict[str, Param]:
    """Return the parameters and buffers once per storage."""
    return {param.storage: param for param in params}
