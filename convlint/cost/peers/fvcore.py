"""fvcore's FlopCountAnalysis: one "flop" a MAC, and norms, some pooling and interpolation.

It looks at the operators of a TorchScript trace, so how a layer is called does not matter;
operators without a handler count nothing. Conventions read in ``fvcore/nn/flop_count.py`` and
``jit_handles.py``: norm with fixed statistics 2 an element (1 without affine), other norms 5
(4); 2-D nearest interpolation 1 and bilinear 4 a value written; 2-D adaptive average pooling 1
a value read. timm's published GMACs are counted so.
"""

from __future__ import annotations

from convlint.cost.peers.base import (
    Peer,
    Said,
    Specs,
    called,
    numpys_words,
    read,
    returns_weights,
    written,
)
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node

_UNKNOWN_PRODUCTS = ("baddbmm", "addbmm", "bilinear", "tensordot")
_NORMS = ("batch", "group", "layer", "instance")
_INTERPOLATION = {"nearest": 1, "bilinear": 4}


def count(node: Node, inputs: Specs, macs: int) -> Said:
    """Return what fvcore counts for ``node``."""
    op = node.op
    if isinstance(op, ir.Conv) and op.padding_word:
        return Said(0, f"no handler for convs with padding={op.padding_word!r}: 0")
    if isinstance(op, ir.Attention):
        projected = sum(rows * a * b for rows, a, b in op.projections)
        known = op.projections and returns_weights(node)
        return Said(macs if known else projected, "no handler for the fused attention product: 0")
    if isinstance(op, ir.Recurrent):
        return Said(0, "no handler for recurrent layers: 0")
    if isinstance(op, ir.Matmul):
        return _product(called(node), macs)
    if isinstance(op, ir.Norm) and op.type in _NORMS:
        return _norm(op, read(inputs))
    if isinstance(op, ir.Upsample) and len(op.scale) == 2 and op.mode in _INTERPOLATION:
        ops = _INTERPOLATION[op.mode]
        return Said(ops * written(node), f"{op.mode} interpolation: {ops} a value written")
    if isinstance(op, ir.Pool) and op.adaptive and op.type == "avg" and len(op.kernel) == 2:
        return Said(read(inputs), "adaptive average pooling: 1 a value read")
    return Said(macs)


def _product(name: str, macs: int) -> Said:
    if name in _UNKNOWN_PRODUCTS:
        return Said(0, f"no handler for {name}: 0")
    if name == "einsum":
        return Said(numpys_words(2 * macs) // 2, "einsum: four digits, as NumPy prints them")
    return Said(macs)


def _norm(op: ir.Norm, elements: int) -> Said:
    fixed = op.type == "batch" and op.running_stats
    ops = (2 if op.affine else 1) if fixed else (5 if op.affine else 4)
    return Said(ops * elements, f"{op.type} norm: {ops} a value")


PEER = Peer(
    "fvcore",
    "0.1.5",
    "flops (1 a MAC)",
    1,
    count,
    notes=("what is computed from weights alone (weight standardisation) is not in the graph",),
)
