"""Operations that are not MACs, by kind: one an element, or one a tap.

Conventions: a norm with fixed statistics is a multiplication and an addition an element
(2, as fvcore counts it; norms that compute their statistics are counted the same); softmax is
2 an element (exponential, division); pooling and interpolation count the values they read
(taps) for each element they write; an activation is 1 an element whatever function it is; the
bias of a conv or linear layer is 1 an element written.
"""

from __future__ import annotations

import math

from convlint.ir import nodes as ir
from convlint.ir.nodes import Data, TensorSpec

Specs = tuple[TensorSpec, ...]

_TAPS_AN_AXIS = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}


class OtherOps(Data, frozen=True):
    """Numbers of operations that are not MACs, by kind."""

    norm: int = 0
    activation: int = 0
    pooling: int = 0
    interpolation: int = 0
    elementwise: int = 0
    softmax: int = 0
    bias: int = 0

    @property
    def total(self) -> int:
        """All kinds together."""
        return sum(getattr(self, name) for name in self.__struct_fields__)

    def __add__(self, other: OtherOps) -> OtherOps:
        names = self.__struct_fields__
        return OtherOps(*(getattr(self, name) + getattr(other, name) for name in names))


def other_ops_of(op: ir.Op, inputs: Specs, outputs: Specs) -> OtherOps:
    """Return the operations of ``op`` that are not MACs; a reduction counts as pooling."""
    elements = sum(spec.elements for spec in outputs)
    if isinstance(op, (ir.Conv, ir.Linear)):
        return OtherOps(bias=elements if op.bias else 0)
    if isinstance(op, ir.Norm):
        return OtherOps(norm=2 * elements)
    if isinstance(op, ir.Activation):
        return OtherOps(activation=elements)
    if isinstance(op, (ir.Pool, ir.Reduce)):
        return OtherOps(pooling=_pooling(op, inputs, elements))
    if isinstance(op, ir.Upsample):
        return OtherOps(interpolation=elements * _taps(op))
    if isinstance(op, ir.Softmax):
        return OtherOps(softmax=2 * elements)
    if isinstance(op, ir.Attention):
        return OtherOps(softmax=2 * op.batch * op.queries * op.keys)
    if isinstance(op, (ir.Add, ir.Mul, ir.Elementwise)):
        return OtherOps(elementwise=elements)
    return OtherOps()


def _pooling(op: ir.Pool | ir.Reduce, inputs: Specs, elements: int) -> int:
    if isinstance(op, ir.Reduce) or op.adaptive or op.whole:
        return inputs[0].elements
    return elements * math.prod(op.kernel)


def _taps(op: ir.Upsample) -> int:
    """Return how many values one element of the result is made of."""
    if op.mode == "area":
        return math.prod(max(1, math.ceil(1 / scale)) for scale in op.scale if scale)
    return math.prod(_TAPS_AN_AXIS.get(op.mode, 1) for _ in op.scale)
