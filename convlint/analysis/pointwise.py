"""Pointwise layers, what stands between them and a resizing, and how nodes change places.

A 1x1 convolution mixes the channels of one position, an average or an interpolation the positions
of one channel: both are linear, so their order is free. What stands between has to be of the
right kind: a batch norm may be passed by weights that sum to 1, an activation only by copies.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from convlint.analysis import drafting
from convlint.cost.saving import Saved
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

NEAREST = ("nearest", "nearest-exact")


class Between(enum.Enum):
    """What an operation does to each element: at most a factor, a shift too, or anything."""

    SCALES = "scales"
    SHIFTS = "shifts"
    BENDS = "bends"


@dataclass(frozen=True, slots=True)
class Chain:
    """Operations on each element alone, in execution order, and what the first one reads."""

    source: Ref
    nodes: tuple[Node, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the nodes."""
        return tuple(node.id for node in self.nodes)

    def bend(self) -> Node | None:
        """Return the first operation that is neither a factor nor a shift, None without one."""
        return next((node for node in self.nodes if between(node) is Between.BENDS), None)

    def shift(self) -> Node | None:
        """Return the first operation that adds to its input, None without one."""
        return next((node for node in self.nodes if between(node) is Between.SHIFTS), None)


def between(node: Node) -> Between | None:
    """Return what ``node`` does to each element of its only input; None for any other node."""
    op = node.op
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        return None
    if isinstance(op, ir.Identity) or (isinstance(op, ir.Mul) and op.scalar is not None):
        return Between.SCALES
    if is_plain_norm(node) or (isinstance(op, ir.Add) and op.scalar is not None):
        return Between.SHIFTS
    return Between.BENDS if isinstance(op, (ir.Activation, ir.Elementwise)) else None


def is_plain_norm(node: Node) -> bool:
    """Tell a batch norm with fixed statistics: a factor and a shift for each channel."""
    return isinstance(node.op, ir.Norm) and node.op.type == "batch" and node.op.running_stats


def chain_before(graph: ModelGraph, ref: Ref) -> Chain:
    """Return the longest chain whose last output is ``ref``; a cast ends it."""
    nodes: list[Node] = []
    while True:
        node = graph[ref.node]
        if between(node) is None or graph.spec(node.inputs[0]) != node.output:
            return Chain(ref, tuple(reversed(nodes)))
        nodes.append(node)
        ref = node.inputs[0]


def is_pointwise(op: ir.Op) -> bool:
    """Tell a convolution of one tap that neither skips nor adds positions."""
    if not isinstance(op, ir.Conv) or op.transposed:
        return False
    padded = any(side for sides in op.padding for side in sides)
    return op.taps == 1 and set(op.stride) == {1} and not padded


def positions(shape: Sequence[int]) -> int:
    """Return the positions of a map of this shape (N, C, ...)."""
    return math.prod(shape[2:])


def grows(graph: ModelGraph, node: Node) -> bool:
    """Tell an interpolation, expansion or tiling of the spatial axes to more positions."""
    if not isinstance(node.op, (ir.Upsample, ir.Expand, ir.Repeat)) or len(node.inputs) != 1:
        return False
    before, after = graph.spec(node.inputs[0]), node.output
    if before.dtype != after.dtype or len(before.shape) != len(after.shape) or len(after.shape) < 3:
        return False
    if before.shape[:2] != after.shape[:2]:
        return False
    return positions(before.shape) < positions(after.shape)


def copies(graph: ModelGraph, node: Node) -> bool:
    """Tell whether every value that a resizing writes is one of those that it reads."""
    if not isinstance(node.op, ir.Upsample) or node.op.mode in NEAREST:
        return True
    return positions(graph.spec(node.inputs[0]).shape) == 1


def moved(node: Node, suffix: str, source: Ref, shape: Sequence[int]) -> Node:
    """Return the same call on another input; ``shape`` is what it then writes."""
    return msgspec.structs.replace(
        node,
        id=f"{node.id}~{suffix}",
        inputs=(source, *node.inputs[1:]),
        outputs=(TensorSpec(tuple(shape), node.output.dtype),),
        inplace=False,
    )


def move_chain(
    chain: Sequence[Node], suffix: str, source: Ref, shape: Sequence[int]
) -> tuple[Node, ...]:
    """Return the chain on another input; each of its nodes writes ``shape``."""
    made = []
    for node in chain:
        made.append(moved(node, suffix, source, shape))
        source = Ref(made[-1].id)
    return tuple(made)


def loss(saved: Saved, ridge: float) -> str | None:
    """Return why an edit that is equal would not pay, None where it does.

    ``ridge`` is how many MACs the target makes while it moves one byte.
    """
    if saved.macs <= 0:
        return "it would save no MACs"
    if saved.macs + saved.other_ops <= 0:
        more = f"{-saved.other_ops:,} more other operations"
        return f"it would save {saved.macs:,} MACs and cost {more}"
    if saved.macs < -saved.bytes_moved * ridge:
        ratio = saved.macs / -saved.bytes_moved
        return (
            f"it would move {-saved.bytes_moved:,} bytes more and save {ratio:.1f} MACs for each, "
            f"under {ridge:g}"
        )
    return None


def resize_words(graph: ModelGraph, node: Node) -> str:
    """Return "bilinear upsampling from 33x33", or what else the resizing is."""
    size = drafting.extent(graph.spec(node.inputs[0]).shape[2:])
    if not isinstance(node.op, ir.Upsample):
        return f"{'expansion' if isinstance(node.op, ir.Expand) else 'tiling'} from {size}"
    grown = positions(graph.spec(node.inputs[0]).shape) < positions(node.output.shape)
    return f"{node.op.mode} {'up' if grown else 'down'}sampling from {size}"


def resize_code(node: Node, x: str = "x") -> str:
    """Return the call that resizes ``x``."""
    op, size = node.op, tuple(node.output.shape[2:])
    if isinstance(op, ir.Repeat):
        return f"{x}.repeat{op.repeats}"
    if not isinstance(op, ir.Upsample):
        return f"{x}.expand(-1, -1, {', '.join(map(str, size))})"
    options = "" if op.mode == "nearest" else f', mode="{op.mode}"'
    options += ", align_corners=True" if op.align_corners else ""
    options += ", antialias=True" if op.antialias else ""
    return f"F.interpolate({x}, {resize_target(op, size)}{options})"


def resize_target(op: ir.Upsample, size: ir.Ints) -> str:
    """Return "scale_factor=2" or "size=(65, 65)": the argument that gives these very positions.

    Factors that were given are told as they are, since torch takes the positions from them; else
    halves, quarters and eighths are, which are the same at other input sizes and exact in floats.
    """
    scale = op.factors or op.scale
    if not op.factors and any(each * 8 != int(each * 8) for each in scale):
        return f"size={size}"
    plain = [int(each) if each == int(each) else each for each in scale]
    return f"scale_factor={plain[0] if len(set(plain)) == 1 else tuple(plain)}"
