"""What one node costs.

Conventions: MACs are those of convolutions and matrix products, as torchvision
publishes them (``_ops``); bias, norm, activation, pooling, interpolation and
elementwise work is counted apart, in elements or taps (``other_ops``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, TensorSpec

_MOVES = (
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


@dataclass(frozen=True, slots=True)
class NodeCost:
    """Counts of one node: MACs, params (elements), bytes written, other operations.

    Views and moves that copy nothing write no bytes. In-place nodes write their bytes.
    """

    macs: int
    params: int
    bytes_written: int
    other_ops: int


def count_node(node: Node, inputs: tuple[TensorSpec, ...]) -> NodeCost:
    """Return the cost of ``node`` on inputs of these specs."""
    written = 0 if isinstance(node.op, _MOVES) else sum(spec.bytes for spec in node.outputs)
    storages = {param.storage: param for param in node.params if not param.buffer}
    return NodeCost(
        macs=macs_of(node.op, inputs, node.outputs),
        params=sum(param.elements for param in storages.values()),
        bytes_written=written,
        other_ops=other_ops_of(node.op, inputs, node.outputs),
    )


def macs_of(op: ir.Op, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> int:
    """Return the multiply-accumulates of ``op``.

    A convolution does ``N * positions * Cout * Cin/groups * taps``, where the positions
    are those of the output, or of the input for a transposed one.
    """
    if isinstance(op, ir.Conv):
        shape = inputs[0].shape if op.transposed else outputs[0].shape
        positions = shape[0] * math.prod(shape[2:])
        return positions * op.out_channels * op.taps * op.in_channels // op.groups
    if isinstance(op, ir.Linear):
        return math.prod(outputs[0].shape) * op.in_features
    if isinstance(op, ir.Matmul):
        return op.batch * op.m * op.k * op.n
    if isinstance(op, ir.Attention):
        return _attention_macs(op)
    if isinstance(op, ir.Recurrent):
        return _recurrent_macs(op)
    return 0


def _attention_macs(op: ir.Attention) -> int:
    products = op.batch * op.queries * op.keys * (op.head_dim + op.value_dim)
    return products + sum(positions * a * b for positions, a, b in op.projections)


def _recurrent_macs(op: ir.Recurrent) -> int:
    """W_ih x, W_hh h for every gate, and the projection of an LSTM with proj_size."""
    total = 0
    for size, hidden, projected in op.cells:
        state = projected or hidden
        total += op.gates * hidden * (size + state) + hidden * projected
    return op.steps * total


def other_ops_of(op: ir.Op, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> int:
    """Return the operations that are not MACs: one per element, or per tap for pooling."""
    elements = sum(spec.elements for spec in outputs)
    if isinstance(op, (ir.Conv, ir.Linear)):
        return elements if op.bias else 0
    if isinstance(op, ir.Pool):
        return inputs[0].elements if op.adaptive or op.whole else elements * math.prod(op.kernel)
    if isinstance(op, ir.Reduce):
        return inputs[0].elements
    if isinstance(op, (ir.Norm, ir.Softmax)):
        return 2 * elements
    if isinstance(op, (ir.Activation, ir.Add, ir.Mul, ir.Elementwise, ir.Upsample)):
        return elements
    return 0
