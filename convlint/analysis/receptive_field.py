"""Theoretical receptive field of every node, per spatial axis, over all paths.

Per axis a value carries ``r``, the input positions one of its elements can see, and
``j``, the input positions between two neighbours (the jump). A window of k taps at
dilation d and stride s does ``r += d*(k-1)*j; j *= s`` (Distill 2019). Of all paths only the
smallest and the largest are kept, so the walk is linear in the nodes. Global context
(global pooling, flatten, attention) is infinite; a squeeze-and-excite gate is such a path,
so it counts in ``max`` and leaves ``min`` alone. Normalisation statistics are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from convlint.analysis.shapes import surviving_dims
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node


@dataclass(frozen=True, slots=True)
class Field:
    """Receptive field in input pixels per spatial axis; None where any axis is infinite."""

    min: tuple[Fraction, ...] | None
    max: tuple[Fraction, ...] | None


_Path = tuple[Fraction, Fraction]
"""(r, j)"""


@dataclass(frozen=True, slots=True)
class _Axis:
    """One spatial axis of the input: the tensor dim it lies on now, its extreme paths.

    ``dim`` is None where the axis was merged into the batch. A path is None when infinite.
    """

    dim: int | None
    low: _Path | None
    high: _Path | None

    def step(self, move: Callable[[Fraction, Fraction], _Path]) -> _Axis:
        low = self.low and move(*self.low)
        return replace(self, low=low, high=self.high and move(*self.high))


_State = tuple[_Axis, ...]


def receptive_fields(graph: ModelGraph) -> dict[str, Field]:
    """Return the field of every node that depends on an input with spatial axes, by id."""
    return graph.once(_receptive_fields)


def _receptive_fields(graph: ModelGraph) -> dict[str, Field]:
    states: dict[str, _State] = {}
    for node in graph:
        specs = graph.input_specs(node)
        given = [(spec, ref.node) for spec, ref in zip(specs, node.inputs, strict=True)]
        live = [(spec.shape, states[key]) for spec, key in given if key in states]
        if isinstance(node.op, ir.Input):
            rank = len(node.output.shape)
            one = (Fraction(1), Fraction(1))
            states[node.id] = tuple(_Axis(dim, one, one) for dim in range(2, rank))
        elif live and not isinstance(node.op, ir.Output):
            joined = _join([_broadcast(node, len(shape), state) for shape, state in live])
            states[node.id] = _kept(node, _advance(node, live[0][0], joined))
    fields = {id(state): _field(state) for state in states.values()}
    return {key: fields[id(state)] for key, state in states.items() if state}


def _broadcast(node: Node, rank: int, state: _State) -> _State:
    """Shift the axes of an input that a broadcast gives leading dims."""
    more = len(node.output.shape) - rank
    broadcasts = (ir.Expand, ir.Repeat, ir.Add, ir.Mul, ir.Elementwise)
    if not isinstance(node.op, broadcasts) or more <= 0:
        return state
    return _each(state, lambda axis, n: replace(axis, dim=n + 2 + more))


def _kept(node: Node, state: _State) -> _State:
    """Make axes infinite that the result has no dim for."""
    if all((axis.dim or 0) < len(node.output.shape) for axis in state):
        return state
    lost = _Axis(None, None, None)
    return tuple(lost if (axis.dim or 0) >= len(node.output.shape) else axis for axis in state)


def _field(state: _State) -> Field:
    lows = [axis.low for axis in state]
    highs = [axis.high for axis in state]
    return Field(
        min=None if None in lows else tuple(low[0] for low in lows if low),
        max=None if None in highs else tuple(high[0] for high in highs if high),
    )


def _join(states: list[_State]) -> _State:
    """Return the extremes over branches that meet in one node."""
    first = max(states, key=len)
    alike = [state for state in states if len(state) == len(first)]
    if len(alike) == 1:
        return first
    return tuple(_join_axis(axes) for axes in zip(*alike, strict=True))


def _join_axis(axes: tuple[_Axis, ...]) -> _Axis:
    dim = next((axis.dim for axis in axes if axis.dim is not None), None)
    lows = [axis.low for axis in axes if axis.low is not None]
    highs = [axis.high for axis in axes if axis.high is not None]
    return _Axis(
        dim=dim,
        low=min(lows) if lows else None,
        high=max(highs) if len(highs) == len(axes) else None,
    )


def _advance(node: Node, source: ir.Ints, state: _State) -> _State:
    """Return the state after ``node``, whose input with these fields has shape ``source``."""
    op = node.op
    if isinstance(op, ir.Conv):
        return _conv(op, state)
    if isinstance(op, ir.Pool):
        return _pool(op, source, node.output.shape, state)
    if isinstance(op, ir.Upsample):
        return _resize(op, state)
    if isinstance(op, (ir.Reduce, ir.Softmax, ir.Linear)):
        return _over_axes(op, len(source), state)
    if isinstance(op, (ir.Permute, ir.Reshape, ir.Slice, ir.Stack, ir.PixelShuffle)):
        return _move(node, source, state)
    if isinstance(op, (ir.Matmul, ir.Attention, ir.Recurrent)):
        return tuple(replace(axis, low=None, high=None) for axis in state)
    if isinstance(op, ir.Opaque):
        return tuple(replace(axis, high=None) for axis in state)
    return state


def _each(state: _State, change: Callable[[_Axis, int], _Axis]) -> _State:
    """Return the state with ``change(axis, spatial number)`` made on every live axis."""
    return tuple(axis if axis.dim is None else change(axis, axis.dim - 2) for axis in state)


def _window(taps: int, dilation: int, stride: int) -> Callable[[Fraction, Fraction], _Path]:
    return lambda r, j: (r + dilation * (taps - 1) * j, j * stride)


def _conv(op: ir.Conv, state: _State) -> _State:
    def change(axis: _Axis, n: int) -> _Axis:
        if not 0 <= n < len(op.kernel):
            return axis
        taps, dilation, stride = op.kernel[n], op.dilation[n], op.stride[n]
        if not op.transposed:
            return axis.step(_window(taps, dilation, stride))
        read = math.ceil(Fraction(dilation * (taps - 1) + 1, stride))
        return axis.step(lambda r, j: (r + (read - 1) * j, j / stride))

    return _each(state, change)


def _pool(op: ir.Pool, source: ir.Ints, result: ir.Ints, state: _State) -> _State:
    def change(axis: _Axis, n: int) -> _Axis:
        before, after = source[n + 2], result[n + 2]
        if op.whole or (op.adaptive and after == 1 and before > 1):
            return replace(axis, low=None, high=None)
        if not 0 <= n < len(op.kernel):
            taps = 1 if before == after else math.ceil(Fraction(before, after)) + 1
            return axis.step(lambda r, j: (r + (taps - 1) * j, j * before / after))
        dilation = op.dilation[n] if op.dilation else 1
        return axis.step(_window(op.kernel[n], dilation, op.stride[n]))

    return _each(state, change)


_READ = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}


def _resize(op: ir.Upsample, state: _State) -> _State:
    def change(axis: _Axis, n: int) -> _Axis:
        if not 0 <= n < len(op.scale) or op.scale[n] == 1:
            return axis
        scale = Fraction(op.scale[n]).limit_denominator(10_000)
        read = _READ.get(op.mode, 1)
        if op.mode == "area" and scale < 1:
            read = math.ceil(1 / scale)
        return axis.step(lambda r, j: (r + (read - 1) * j, j / scale))

    return _each(state, change)


def _over_axes(op: ir.Reduce | ir.Softmax | ir.Linear, rank: int, state: _State) -> _State:
    """Widen the axes that the op runs over without bound; a reduction takes them out."""
    axes: Iterable[int] = op.axes if isinstance(op, ir.Reduce) else (rank - 1,)
    axes = [op.axis % rank] if isinstance(op, ir.Softmax) else [axis % rank for axis in axes]
    gone = set(axes) if isinstance(op, ir.Reduce) and not op.keepdim else set()

    def change(axis: _Axis, n: int) -> _Axis:
        dim = n + 2
        if dim in axes:
            return _Axis(None if dim in gone else dim, None, None)
        return replace(axis, dim=dim - sum(other < dim for other in gone))

    return _each(state, change)


def _move(node: Node, source: ir.Ints, state: _State) -> _State:
    """Follow the axes through a movement of elements."""
    op, result = node.op, node.output.shape
    if isinstance(op, ir.Permute):
        return _each(state, lambda axis, n: replace(axis, dim=op.axes.index(n + 2)))
    if isinstance(op, ir.Stack):
        place = op.axis % len(result)
        return _each(state, lambda axis, n: replace(axis, dim=n + 2 + (place <= n + 2)))
    if isinstance(op, ir.PixelShuffle):
        factor = op.factor
        if op.inverse:
            return tuple(axis.step(_window(factor, 1, factor)) for axis in state)
        return tuple(axis.step(lambda r, j: (r, j / factor)) for axis in state)
    if isinstance(op, ir.Slice):
        steps = {part.axis: part.step for part in op.slices}
        state = _each(state, lambda axis, n: axis.step(_window(1, 1, steps.get(n + 2, 1))))
        ends = {part.axis: len(range(part.start, part.stop, part.step)) for part in op.slices}
        source = tuple(ends.get(dim, size) for dim, size in enumerate(source))
    return _reshape(source, result, state)


def _reshape(source: ir.Ints, result: ir.Ints, state: _State) -> _State:
    """An axis merged with channels or cut is read whole later on: infinite."""
    places = surviving_dims(source, result)
    merged = _merged_into_batch(source, result)

    def change(axis: _Axis, n: int) -> _Axis:
        dim = n + 2
        if dim in places:
            return replace(axis, dim=places[dim])
        if dim in merged:
            return replace(axis, dim=None)
        return _Axis(None, None, None)

    return _each(state, change)


def _merged_into_batch(source: ir.Ints, result: ir.Ints) -> range:
    """Return the dims that a reshape joined, whole, with the first one."""
    product = 1
    for dim, size in enumerate(source):
        product *= size
        if result and product == result[0]:
            return range(dim + 1)
    return range(0)
