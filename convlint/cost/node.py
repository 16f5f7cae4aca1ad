"""What one node costs.

Conventions: MACs are those of convolutions and matrix products, as torchvision
publishes them (``_ops``); bias, norm, activation, pooling, interpolation and
elementwise work is counted apart, in elements or taps (``other``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from convlint.cost.other import OtherOps, other_ops_of
from convlint.cost.traffic import bytes_read, bytes_written, own
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, TensorSpec


@dataclass(frozen=True, slots=True)
class NodeCost:
    """Counts of one node.

    ``macs`` are multiply-accumulates at the traced batch size; ``params`` elements and
    ``param_bytes`` bytes of the parameters it uses, ``buffer_bytes`` of the buffers;
    ``bytes_written`` and ``bytes_read`` what it moves when nothing is fused (see
    :mod:`convlint.cost.traffic`); ``other`` the operations that are not MACs.
    """

    macs: int
    params: int
    bytes_written: int
    bytes_read: int
    param_bytes: int
    buffer_bytes: int
    other: OtherOps

    @property
    def other_ops(self) -> int:
        """All operations that are not MACs."""
        return self.other.total

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written when nothing is fused."""
        return self.bytes_read + self.bytes_written

    @property
    def intensity(self) -> float | None:
        """MACs for each byte moved; None where nothing moves."""
        return self.macs / self.bytes_moved if self.bytes_moved else None


def count_node(node: Node, inputs: tuple[TensorSpec, ...]) -> NodeCost:
    """Return the cost of ``node`` on inputs of these specs."""
    used = own(node.params).values()
    return NodeCost(
        macs=macs_of(node.op, inputs, node.outputs),
        params=sum(param.elements for param in used if not param.buffer),
        bytes_written=bytes_written(node),
        bytes_read=bytes_read(node, inputs),
        param_bytes=sum(param.bytes for param in used if not param.buffer),
        buffer_bytes=sum(param.bytes for param in used if param.buffer),
        other=other_ops_of(node.op, inputs, node.outputs),
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
