"""thop (pytorch-OpCounter): hooks on layers of exactly the known torch.nn types.

Functional calls, subclasses and attention count nothing. Conventions read in
``thop/profile.py`` and ``thop/vision``: a transposed conv is counted on its output (its fault:
stride times too many an axis); norms 2 a value, 4 with affine; PReLU 1; softmax 3n-1 a row;
average pooling 1 a value written, adaptive the taps more; interpolation 1 to 259 a value.
"""

from __future__ import annotations

import math

from convlint.cost.peers.base import Peer, Said, Specs, plain_layer, read, written
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node

_NORMS = ("BatchNorm", "SyncBatchNorm", "LayerNorm", "InstanceNorm")
_INTERPOLATION = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}


def count(node: Node, inputs: Specs, macs: int) -> Said:
    """Return what thop counts for ``node``."""
    op, layer = node.op, plain_layer(node)
    if not layer or layer == "MultiheadAttention":
        called = node.layer_class or node.function or node.kind
        return Said(0, f"{called} is no layer of a known type: 0" if macs else "")
    if isinstance(op, ir.Conv):
        taps = op.in_channels // op.groups * op.taps
        return Said(written(node) * taps, "transposed conv counted on its output (a fault of thop)")
    if isinstance(op, ir.Norm):
        return _norm(op, layer, read(inputs))
    if isinstance(op, ir.Softmax):
        length = inputs[0].shape[op.axis]
        return Said(read(inputs) // length * (3 * length - 1), "softmax: 3n - 1 a row")
    if isinstance(op, ir.Pool) and op.type == "avg":
        return _pool(op, node, inputs)
    if isinstance(op, ir.Upsample):
        ops = _INTERPOLATION.get(op.mode, 0)
        return Said(ops * written(node), f"{op.mode} interpolation: {ops} a value written")
    return Said(read(inputs), "PReLU: 1 a value") if layer == "PReLU" else Said(macs)


def _norm(op: ir.Norm, layer: str, elements: int) -> Said:
    if not layer.startswith(_NORMS):
        return Said(0)
    ops = 4 if op.affine else 2
    return Said(ops * elements, f"{op.type} norm: {ops} a value")


def _pool(op: ir.Pool, node: Node, inputs: Specs) -> Said:
    if not op.adaptive:
        return Said(written(node), "average pooling: 1 a value written")
    sizes = zip(inputs[0].shape[2:], node.outputs[0].shape[2:], strict=True)
    taps = math.prod(before / after for before, after in sizes)
    return Said(int((taps + 1) * written(node)), "adaptive average pooling: taps + 1 a value")


PEER = Peer(
    "thop",
    "0.1.1",
    "MACs",
    1,
    count,
    notes=(
        "a layer that stands under several parents counts once more for each (not reproduced)",
        "recurrent layers are taken as their MACs; thop adds some elementwise work",
    ),
)
