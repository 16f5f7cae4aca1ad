"""What each kind of operation does to the labels of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from convlint.analysis import labels as lb
from convlint.analysis.labels import Labels, NotFollowed
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, TensorSpec

Ints = tuple[int, ...]
Values = tuple[Labels, ...]
"""One value per input (no label: ``uniform(0)``) or per output."""


def move(node: Node, values: Values, specs: tuple[TensorSpec, ...], mixed: int) -> Values:
    """Return the labels of every output of ``node``.

    ``mixed`` is the cell that depends on all labels, with the ``computed`` bit. Dense
    convolutions, products and every operation that is not described mix all they read.
    Labels that vary over too many elements are given up for ``mixed``.
    """
    shapes = tuple(spec.shape for spec in specs)
    try:
        found = _outputs(node, values, shapes, mixed)
    except NotFollowed:
        found = None
    if found is None or not _fits(found, node):
        return (lb.uniform(mixed),) * len(node.outputs)
    return found


def _fits(found: Values, node: Node) -> bool:
    """Tell whether the labels lie on dims that the outputs have, at their lengths."""
    return all(
        dim < len(spec.shape) and spec.shape[dim] == size
        for value, spec in zip(found, node.outputs, strict=True)
        for dim, size in zip(value.dims, value.sizes, strict=True)
    )


def _outputs(node: Node, values: Values, shapes: tuple[Ints, ...], mixed: int) -> Values | None:
    """Return the labels of the outputs, or None where everything is mixed."""
    op = node.op
    if isinstance(op, ir.Split):
        return _split(op, values[0], shapes[0])
    if isinstance(op, (ir.Add, ir.Mul, ir.Elementwise)):
        return (_broadcast(values, shapes, node.output.shape),)
    if isinstance(op, (ir.Concat, ir.Stack)):
        return (_join(op, values, shapes, len(node.output.shape)),)
    handler = _HANDLERS.get(type(op))
    if handler is None:
        return None
    found = handler(op, values[0], shapes[0], node.output.shape, mixed)
    return None if found is None else (found,) * len(node.outputs)


def _split(op: ir.Split, value: Labels, shape: Ints) -> Values:
    axis, start, parts = op.axis % len(shape), 0, []
    for size in op.sizes:
        parts.append(lb.pick(value, {axis: range(start, start + size)}).simplified())
        start += size
    return tuple(parts)


def _broadcast(values: Values, shapes: tuple[Ints, ...], result: Ints) -> Labels:
    pairs = zip(values, shapes, strict=True)
    return lb.union([_shifted(value, len(result) - len(shape)) for value, shape in pairs])


def _shifted(value: Labels, by: int) -> Labels:
    """Return the labels after ``by`` new leading dims."""
    return value.rename(lambda dim: dim + by)


def _join(op: ir.Concat | ir.Stack, values: Values, shapes: tuple[Ints, ...], rank: int) -> Labels:
    axis = op.axis % rank
    if isinstance(op, ir.Concat):
        return lb.joined(values, axis, [shape[axis] for shape in shapes]).simplified()
    moved = [value.rename(lambda dim: dim + (dim >= axis)) for value in values]
    return lb.joined(moved, axis, [1] * len(moved)).simplified()


# --- one input, one output: (op, labels, shape before, shape after, mixed) -> labels --------


def _keep(_op: ir.Op, value: Labels, _source: Ints, _result: Ints, _mixed: int) -> Labels:
    return value


def _reshape(_op: ir.Op, value: Labels, source: Ints, result: Ints, _mixed: int) -> Labels:
    return lb.reshaped(value, source, result)


def _permute(op: ir.Permute, value: Labels, source: Ints, _result: Ints, _mixed: int) -> Labels:
    names = {axis % len(source): place for place, axis in enumerate(op.axes)}
    return lb.renumbered(value, names)


def _slice(op: ir.Slice, value: Labels, source: Ints, result: Ints, _mixed: int) -> Labels:
    kept = {part.axis: range(part.start, part.stop, part.step) for part in op.slices}
    shape = tuple(len(kept[axis]) if axis in kept else size for axis, size in enumerate(source))
    return lb.reshaped(lb.pick(value, kept).simplified(), shape, result)


def _gather(
    op: ir.Gather, value: Labels, source: Ints, _result: Ints, _mixed: int
) -> Labels | None:
    axis = op.axis % len(source)
    if axis not in value.dims:
        return value
    if op.indices is None:
        return None
    return lb.pick(value, {axis: [i % source[axis] for i in op.indices]}).simplified()


def _expand(_op: ir.Expand, value: Labels, source: Ints, result: Ints, _mixed: int) -> Labels:
    return _shifted(value, len(result) - len(source))


def _repeat(op: ir.Repeat, value: Labels, source: Ints, result: Ints, _mixed: int) -> Labels:
    value = _shifted(value, len(result) - len(source))
    return lb.pick(value, {d: list(range(value.size(d))) * op.repeats[d] for d in value.dims})


def _flip(op: ir.Flip, value: Labels, source: Ints, _result: Ints, _mixed: int) -> Labels:
    axes = {axis % len(source) for axis in op.axes}
    return lb.pick(value, {axis: range(source[axis] - 1, -1, -1) for axis in axes})


def _roll(op: ir.Roll, value: Labels, source: Ints, _result: Ints, _mixed: int) -> Labels | None:
    if len(op.axes) != len(op.shifts):
        return None
    for axis, shift in zip(op.axes, op.shifts, strict=True):
        size = source[axis]
        value = lb.pick(value, {axis % len(source): [(i - shift) % size for i in range(size)]})
    return value


def _pixel_shuffle(
    op: ir.PixelShuffle, value: Labels, source: Ints, result: Ints, _mixed: int
) -> Labels:
    lead, (height, width), r = source[:-3], source[-2:], op.factor
    n = len(lead)
    if op.inverse:
        seen = (*lead, source[-3], height // r, r, width // r, r)
        axes = (n, n + 2, n + 4, n + 1, n + 3)
    else:
        seen = (*lead, source[-3] // r**2, r, r, height, width)
        axes = (n, n + 3, n + 1, n + 4, n + 2)
    order = (*range(n), *axes)
    moved = lb.renumbered(
        lb.reshaped(value, source, seen), {axis: place for place, axis in enumerate(order)}
    )
    return lb.reshaped(moved, tuple(seen[axis] for axis in order), result)


def _channel_shuffle(
    op: ir.ChannelShuffle, value: Labels, source: Ints, _result: Ints, _mixed: int
) -> Labels:
    per_group = source[1] // op.groups
    order = [g * per_group + i for i in range(per_group) for g in range(op.groups)]
    return lb.pick(value, {1: order})


def _pad(op: ir.Pad, value: Labels, source: Ints, _result: Ints, _mixed: int) -> Labels:
    """Borders of spatial axes on which nothing varies count as their neighbours do."""
    wrap = {"reflect": _reflect, "replicate": _replicate, "circular": _circular}.get(op.mode, _zero)
    chosen = {}
    for axis, (before, after) in enumerate(op.amounts):
        if (before, after) != (0, 0):
            size = source[axis]
            if axis < 2 and axis not in value.dims:
                sizes = dict(zip(value.dims, value.sizes, strict=True))
                value = lb.spread(value, {**sizes, axis: size})
            chosen[axis] = [wrap(place, size) for place in range(-before, size + after)]
    return lb.pick(value, chosen).simplified()


def _zero(place: int, size: int) -> int:
    return place if 0 <= place < size else -1


def _reflect(place: int, size: int) -> int:
    place = abs(place)
    return place if place < size else 2 * (size - 1) - place


def _replicate(place: int, size: int) -> int:
    return min(max(place, 0), size - 1)


def _circular(place: int, size: int) -> int:
    return place % size


def _spatial(_op: ir.Op, value: Labels, source: Ints, _result: Ints, mixed: int) -> Labels:
    """Pooling and interpolation: positions meet, channels do not."""
    return _merge(value, range(2, len(source)), mixed)


def _reduce(op: ir.Reduce, value: Labels, source: Ints, _result: Ints, mixed: int) -> Labels:
    axes = {axis % len(source) for axis in op.axes} or set(range(len(source)))
    value = _merge(value, axes, mixed)
    if op.keepdim:
        return value
    return value.rename(lambda dim: dim - sum(axis < dim for axis in axes))


def _softmax(op: ir.Softmax, value: Labels, source: Ints, _result: Ints, mixed: int) -> Labels:
    return _merge(value, (op.axis % len(source),), mixed)


def _linear(
    _op: ir.Linear, value: Labels, source: Ints, _result: Ints, _mixed: int
) -> Labels | None:
    return None if len(source) - 1 in value.dims else value


def _norm(op: ir.Norm, value: Labels, source: Ints, _result: Ints, mixed: int) -> Labels:
    rank = len(source)
    if op.type in ("layer", "rms"):
        return _merge(value, {axis % rank for axis in op.axes} or {rank - 1}, mixed)
    if op.type == "local_response":
        return _merge(value, (1,), mixed)
    if op.type == "group":
        value = _merge(value, range(2, rank), mixed)
        seen = (source[0], op.groups, source[1] // op.groups, *source[2:])
        value = _merge(lb.reshaped(value, source, seen), (2,), mixed)
        return lb.reshaped(value, seen, source)
    return value


def _conv(op: ir.Conv, value: Labels, source: Ints, _result: Ints, mixed: int) -> Labels | None:
    """A depthwise conv keeps its channels apart; any other mixes, and so does a labelled batch."""
    if not op.depthwise or op.computed_weight or 0 in value.dims:
        return None
    value = _merge(value, range(2, len(source)), mixed)
    times = op.out_channels // op.in_channels
    return lb.pick(value, {1: [channel // times for channel in range(op.out_channels)]})


def _merge(value: Labels, dims: Sequence[int] | set[int], mixed: int) -> Labels:
    flag = mixed ^ (mixed >> 1)
    for dim in dims:
        value = lb.merge_along(value, dim, flag)
    return value


_HANDLERS: dict[type[ir.Op], Callable[[Any, Labels, Ints, Ints, int], Labels | None]] = {
    ir.Activation: _keep,
    ir.Identity: _keep,
    ir.Reshape: _reshape,
    ir.Permute: _permute,
    ir.Slice: _slice,
    ir.Gather: _gather,
    ir.Expand: _expand,
    ir.Repeat: _repeat,
    ir.Flip: _flip,
    ir.Roll: _roll,
    ir.PixelShuffle: _pixel_shuffle,
    ir.ChannelShuffle: _channel_shuffle,
    ir.Pad: _pad,
    ir.Pool: _spatial,
    ir.Upsample: _spatial,
    ir.Reduce: _reduce,
    ir.Softmax: _softmax,
    ir.Linear: _linear,
    ir.Norm: _norm,
    ir.Conv: _conv,
}
