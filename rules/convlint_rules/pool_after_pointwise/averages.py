"""Operations that average positions of a map: pools, means over axes, downsampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

from convlint.analysis.pointwise import NEAREST, positions, resize_code
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


@dataclass(frozen=True, slots=True)
class Average:
    """An average: what it reads, and the spatial sizes that are left of it, 1 where reduced.

    ``flattened`` is a reshape that puts all positions on one axis before the mean over it.
    """

    node: Node
    reads: Ref
    kept: tuple[int, ...]
    flattened: Node | None = None

    @property
    def selects(self) -> bool:
        """It copies some of the values and drops the others."""
        return isinstance(self.node.op, ir.Upsample) and self.node.op.mode in NEAREST


def over_positions(graph: ModelGraph, node: Node) -> Average | None:
    """Return the average over spatial axes that ``node`` is, None where it is none."""
    op = node.op
    if not node.inputs or not node.outputs or graph.spec(node.inputs[0]).dtype != node.output.dtype:
        return None
    shape = graph.spec(node.inputs[0]).shape
    if isinstance(op, ir.Reduce):
        return _reduction(graph, node, op, shape)
    pools = isinstance(op, ir.Pool) and op.type == "avg" and len(shape) == len(op.kernel) + 2
    if not pools and not isinstance(op, ir.Upsample):
        return None
    if positions(node.output.shape) >= positions(shape):
        return None
    return Average(node, node.inputs[0], node.output.shape[2:])


def _reduction(
    graph: ModelGraph, node: Node, op: ir.Reduce, shape: tuple[int, ...]
) -> Average | None:
    if op.fn not in ("mean", "sum") or not op.axes or min(op.axes) < 2:
        return None
    before = graph[node.inputs[0].node]
    if isinstance(before.op, ir.Reshape) and len(shape) == 3:
        whole = graph.spec(before.inputs[0]).shape
        if len(whole) > 3 and shape == (*whole[:2], positions(whole)) and shape[2] > 1:
            return Average(node, before.inputs[0], (1,) * len(whole[2:]), before)
    kept = tuple(1 if axis in op.axes else size for axis, size in enumerate(shape))[2:]
    return Average(node, node.inputs[0], kept) if math.prod(kept) < positions(shape) else None


def over_rows(graph: ModelGraph, node: Node) -> Average | None:
    """Return the mean over any axes but the last that ``node`` is; nothing is kept by name."""
    op = node.op
    if not isinstance(op, ir.Reduce) or op.fn not in ("mean", "sum") or not op.axes:
        return None
    before = graph.spec(node.inputs[0])
    if before.dtype != node.output.dtype or max(op.axes) >= len(before.shape) - 1:
        return None
    return Average(node, node.inputs[0], ()) if node.output.elements < before.elements else None


def shift_trouble(op: ir.Op) -> str | None:
    """Return why a constant is another one after ``op``, None where it stays what it is."""
    if isinstance(op, ir.Reduce):
        return "a sum adds it once for every position" if op.fn == "sum" else None
    if not isinstance(op, ir.Pool) or op.adaptive:
        return None
    if op.divisor is not None:
        return f"the pool divides by {op.divisor} whatever it sums"
    if any(op.padding) and op.count_include_pad:
        return f"the pool counts its padding of {max(op.padding)} as zeros"
    return None


def words(average: Average) -> str:
    """Return "the 2x2 average pool", or what else the average is."""
    op = average.node.op
    if isinstance(op, ir.Reduce):
        return f"the {op.fn}"
    if isinstance(op, ir.Upsample):
        return f"{op.mode} downsampling"
    assert isinstance(op, ir.Pool)
    if op.adaptive or op.whole:
        return "the average pool"
    return f"the {'x'.join(map(str, op.kernel))} average pool"


def code(average: Average) -> str:
    """Return the call or the layer that averages."""
    op, sizes = average.node.op, average.kept
    if isinstance(op, ir.Reduce):
        axes = tuple(range(2, 2 + len(sizes))) if average.flattened is not None else op.axes
        return f"x.{op.fn}({axes}, keepdim=True)"
    if isinstance(op, ir.Upsample):
        return resize_code(average.node)
    assert isinstance(op, ir.Pool)
    if op.adaptive:
        return f"nn.AdaptiveAvgPool{len(sizes)}d({_short(sizes)})"
    options = "" if op.stride == op.kernel else f", stride={_short(op.stride)}"
    options += f", padding={_short(op.padding)}" if any(op.padding) else ""
    options += ", ceil_mode=True" if op.ceil_mode else ""
    options += "" if op.count_include_pad else ", count_include_pad=False"
    return f"nn.AvgPool{len(sizes)}d({_short(op.kernel)}{options})"


def _short(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else str(values)
