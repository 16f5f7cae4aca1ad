"""torchinfo's "mult-adds": the weights of each leaf module times the places they are used at.

Conventions read in ``torchinfo/layer_info.py``: a class with "Conv" in its name counts weight and
bias for every place of the output (for transposed convs too: its fault); any other leaf module
counts weight and bias once a sample, whatever else its input has (a Linear on (N, T, C) counts
one position: its fault). Functions and modules with children of their own count nothing.
"""

from __future__ import annotations

import math

from convlint.cost.peers.base import Peer, Said, Specs, called, weights
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node


def count(node: Node, inputs: Specs, macs: int) -> Said:
    """Return what torchinfo counts for ``node``."""
    del inputs
    name = node.layer_class
    has_children = "parametrize" in name or name.endswith("MultiheadAttention")
    if not name or has_children or not node.outputs:
        what = "a module with children" if has_children else node.function or node.kind
        return Said(0, f"{what} is not counted" if macs else "")
    if isinstance(node.op, ir.Recurrent):
        return Said(_recurrent(node), "every weight and bias once a step")
    shape, own = node.outputs[0].shape, weights(node)
    if "Conv" in name.rpartition(".")[2]:
        return Said(own * math.prod((*shape[:1], *shape[2:])), _conv_words(node.op))
    many = isinstance(node.op, (ir.Linear, ir.Conv)) and math.prod(shape) > shape[0] * shape[-1]
    words = "weights counted once a sample, for one position (a fault of torchinfo)"
    return Said(
        own * (shape[0] if shape else 1),
        words if many else f"{called(node)}: weight and bias once a sample",
    )


def _conv_words(op: ir.Op) -> str:
    if isinstance(op, ir.Conv) and op.transposed:
        return "transposed conv counted on its output (a fault of torchinfo)"
    return "bias: 1 a value written"


def _recurrent(node: Node) -> int:
    own = sum(param.elements for param in node.params if not param.buffer)
    return own * math.prod(node.outputs[0].shape[:2])


PEER = Peer(
    "torchinfo",
    "1.8.0",
    "mult-adds",
    1,
    count,
    notes=(
        "a module of your own with a weight and no children counts there by its class name; "
        "here only torch.nn layers and their subclasses do",
    ),
)
