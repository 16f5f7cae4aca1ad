"""DeepSpeed's flops profiler: FLOPs (2 a MAC) of patched functions.

Conventions read in ``deepspeed/profiling/flops_profiler/profiler.py``: conv bias 1 a value
written, linear bias 0; norms with fixed statistics 2 an element (1 without affine), other norms 5 (4); activations that are
patched, pooling and softmax 1 a value read; interpolation 1 a value written. Hardswish,
sigmoid, ReLU6 layers and operators (``+``, ``*``) count nothing. Its MACs are those of convolutions
and matrix products, without einsum.
"""

from __future__ import annotations

from convlint.cost.peers.base import (
    Peer,
    Said,
    Specs,
    functional,
    numpys_words,
    plain_layer,
    read,
    returns_weights,
    written,
)
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node

_LAYERS = ("ReLU", "PReLU", "ELU", "LeakyReLU", "SiLU", "GELU", "Softmax")
_FUNCTIONS = ("relu", "prelu", "elu", "leaky_relu", "relu6", "silu", "gelu", "softmax")


def count(node: Node, inputs: Specs, macs: int) -> Said:
    """Return the FLOPs that DeepSpeed counts for ``node``; ``macs`` is twice our MACs."""
    op = node.op
    if isinstance(op, ir.Conv):
        return Said(macs + (written(node) if op.bias else 0), "bias: 1 a value written")
    if isinstance(op, ir.Norm) and op.type in ("batch", "group", "layer", "instance"):
        fixed = op.type == "batch" and op.running_stats
        ops = (2 if op.affine else 1) if fixed else (5 if op.affine else 4)
        return Said(ops * read(inputs), f"{op.type} norm: {ops} a value")
    if isinstance(op, (ir.Activation, ir.Softmax)):
        name = plain_layer(node) or functional(node)
        known = name in _LAYERS or name in _FUNCTIONS
        return Said(read(inputs) if known else 0, f"{name.lower()}: 1 a value")
    if isinstance(op, ir.Pool) and op.type != "lp":
        return Said(read(inputs), f"{op.type} pooling: 1 a value read")
    if isinstance(op, ir.Upsample):
        return Said(written(node), "interpolation: 1 a value written")
    if isinstance(op, ir.Attention) and op.projections and returns_weights(node):
        return Said(macs + op.batch * op.queries * op.keys, "softmax: 1 a value read")
    if node.function == "torch.functional.einsum":
        return Said(numpys_words(macs), "einsum: four digits, as NumPy prints them")
    if node.function in ("torch.add", "torch.mul"):
        return Said(written(node), f"{node.function}: 1 a value")
    return Said(macs)


PEER = Peer(
    "deepspeed",
    "0.19.8",
    "FLOPs (2 a MAC)",
    2,
    count,
    notes=(
        "releases before 0.19 divide a transposed conv by its groups twice (not reproduced)",
        "interpolation to a size (size=) counts one plane there, to a factor all of them; a "
        "trace does not tell which was written, a factor is assumed",
        "recurrent layers are taken as twice their MACs; DeepSpeed adds elementwise work",
    ),
)
