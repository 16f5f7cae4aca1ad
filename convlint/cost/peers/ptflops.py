"""ptflops, pytorch backend: hooks on known layers, and patched functions, as "MACs".

Both count, so a ReLU, pooling or softmax layer that calls its function counts twice.
Conventions read in ``ptflops/pytorch_ops.py`` and ``pytorch_engine.py``: bias 1 a value written;
norms 1 a value, 2 with affine; activations and pooling 1 a value read. Layers are divided by
the batch size, functions are not. Calls that only a subclass or an operator makes (``@``,
``+``, ``F.conv2d``, ``F.linear``) count nothing.
"""

from __future__ import annotations

from convlint.cost.peers.base import (
    Peer,
    Said,
    Specs,
    functional,
    plain_layer,
    read,
    returns_weights,
    written,
)
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node

_ACTIVATIONS = ("ReLU", "PReLU", "ELU", "LeakyReLU", "ReLU6", "GELU")
_PATCHED_TOO = ("ReLU", "PReLU", "ELU", "GELU")
_FUNCTIONS = ("relu", "prelu", "elu", "relu6", "gelu", "silu", "softmax")
_PRODUCTS = ("torch.matmul", "torch.mm", "torch.bmm", "Tensor.mm", "Tensor.bmm", "torch.baddbmm")
_SUMS = ("torch.add", "torch.mul")


def count(node: Node, inputs: Specs, macs: int) -> Said:
    """Return what ptflops counts for ``node``."""
    op, layer = node.op, plain_layer(node)
    if isinstance(op, ir.Attention):
        return _attention(op, node)
    if layer and isinstance(op, (ir.Conv, ir.Linear)):
        bias = written(node) if op.bias else 0
        return Said(macs + bias, "bias: 1 a value written")
    if layer and isinstance(op, ir.Norm) and op.type not in ("rms", "local_response"):
        ops = 2 if op.affine and layer != "LayerNorm" else 1
        return Said(ops * read(inputs), f"{op.type} norm: {ops} a value")
    if isinstance(op, (ir.Activation, ir.Softmax)):
        return _activation(node, layer, read(inputs))
    if isinstance(op, ir.Pool) and op.type != "lp":
        return _twice(node, layer, read(inputs), f"{op.type} pooling: 1 a value read")
    if isinstance(op, ir.Upsample):
        why = "interpolation: 1 a value written"
        return _twice(node, layer, written(node), why)
    if isinstance(op, ir.Recurrent):
        return Said(macs)
    if node.function in _PRODUCTS and isinstance(op, ir.Matmul):
        return Said(macs, whole_batch=True)
    if node.function in _SUMS:
        return Said(written(node), f"{node.function}: 1 a value", whole_batch=True)
    called = node.layer_class or node.function or node.kind
    return Said(0, f"{called} is not counted" if macs else "")


def _twice(node: Node, layer: str, elements: int, why: str) -> Said:
    """A layer counts by its hook, and whole again by the function that it calls."""
    if layer:
        batch = node.outputs[0].shape[0] or 1
        return Said(elements + elements * batch, f"{why}, by the layer and by its function")
    return Said(elements if functional(node) else 0, why, whole_batch=True)


def _activation(node: Node, layer: str, elements: int) -> Said:
    why = f"{(layer or functional(node)).lower()}: 1 a value"
    if layer in _PATCHED_TOO:
        return _twice(node, layer, elements, why)
    if layer in _ACTIVATIONS:
        return Said(elements, why)
    by_function = layer in ("SiLU", "Softmax") or functional(node) in _FUNCTIONS
    return Said(elements if by_function else 0, why, whole_batch=True)


def _attention(op: ir.Attention, node: Node) -> Said:
    """MultiheadAttention by its own formula; a bare fused attention counts nothing.

    Where it returns its weights, the functions it calls count its products once more.
    """
    if not op.projections:
        return Said(0, "fused attention is not counted")
    products = op.batch * op.queries * op.keys * (op.head_dim + op.value_dim)
    projected = sum(rows * a * b for rows, a, b in op.projections)
    softmax = op.batch * op.queries * op.keys
    rows, width = op.projections[0][:2]
    bias = (sum(n for n, _, _ in op.projections[:3]) + rows) * width
    total = products + projected + softmax + rows * width + bias
    if not returns_weights(node):
        return Said(total, "multi-head attention: with softmax, scaling and bias")
    batch = rows // op.queries
    return Said(total + (products + softmax) * batch, "multi-head attention: its products twice")


PEER = Peer(
    "ptflops",
    "0.7.5",
    "MACs",
    1,
    count,
    by_sample=True,
    notes=(
        "a layer that stands under several parents counts once for each (not reproduced)",
        "x.add(y), x.mul(y) and x.matmul(y) count there, x + y, x * y and x @ y do not; a trace "
        "does not tell them apart, they are taken as operators",
        "recurrent layers are taken as their MACs; ptflops adds bias and elementwise work",
    ),
)
