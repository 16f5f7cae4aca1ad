"""Label movement against brute force: the same movements run in torch on one-hot labels."""

from __future__ import annotations

import math
import operator
from functools import reduce

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlint.analysis import labels as lb
from convlint.analysis.movement import move
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, Ref, TensorSpec

BITS = 12


def _factor(draw, total: int, rank: int) -> tuple[int, ...]:
    sizes = []
    for _ in range(rank - 1):
        divisor = draw(st.sampled_from([d for d in range(1, total + 1) if total % d == 0]))
        sizes.append(divisor)
        total //= divisor
    return (*sizes, total)


def _reshape(draw, x):
    shape = _factor(draw, x.numel(), draw(st.integers(1, 5)))
    return ir.Reshape(), [x.reshape(shape)]


def _permute(draw, x):
    axes = tuple(draw(st.permutations(range(x.dim()))))
    return ir.Permute(axes), [x.permute(axes)]


def _slice(draw, x):
    axis = draw(st.integers(0, x.dim() - 1))
    start = draw(st.integers(0, x.shape[axis] - 1))
    stop = draw(st.integers(start + 1, x.shape[axis]))
    step = draw(st.integers(1, 3))
    index = [slice(None)] * x.dim()
    index[axis] = slice(start, stop, step)
    y = x[tuple(index)]
    if y.shape[axis] == 1 and y.dim() > 1 and draw(st.booleans()):
        y = y.squeeze(axis)
    return ir.Slice((ir.SliceAxis(axis, start, stop, step),)), [y]


def _split(draw, x):
    axis = draw(st.integers(0, x.dim() - 1))
    cut = draw(st.integers(0, x.shape[axis] - 1))
    sizes = tuple(size for size in (cut, x.shape[axis] - cut) if size)
    return ir.Split(axis, sizes), list(x.split(sizes, axis))


def _flip(draw, x):
    axes = tuple(draw(st.sets(st.integers(0, x.dim() - 1), min_size=1)))
    return ir.Flip(axes), [x.flip(axes)]


def _roll(draw, x):
    axis, shift = draw(st.integers(0, x.dim() - 1)), draw(st.integers(-5, 5))
    return ir.Roll((axis,), (shift,)), [x.roll(shift, axis)]


def _gather(draw, x):
    axis = draw(st.integers(0, x.dim() - 1))
    picks = draw(st.lists(st.integers(0, x.shape[axis] - 1), min_size=1, max_size=6))
    return ir.Gather(axis, tuple(picks)), [x.index_select(axis, torch.tensor(picks))]


def _repeat(draw, x):
    times = tuple(draw(st.lists(st.integers(1, 2), min_size=x.dim(), max_size=x.dim() + 1)))
    return ir.Repeat(times), [x.repeat(times)]


def _expand(draw, x):
    front = draw(st.integers(1, 2))
    return ir.Expand(), [x.expand(front, *x.shape)]


def _shuffle(draw, x):
    if x.dim() < 3:
        return None
    groups = draw(st.sampled_from([d for d in range(1, x.shape[1] + 1) if x.shape[1] % d == 0]))
    return ir.ChannelShuffle(groups), [torch.channel_shuffle(x, groups)]


def _pixel(draw, x):
    inverse = draw(st.booleans())
    if x.dim() < 3:
        return None
    fits = x.shape[-1] % 2 == x.shape[-2] % 2 == 0 if inverse else x.shape[-3] % 4 == 0
    if not fits:
        return None
    function = torch.pixel_unshuffle if inverse else torch.pixel_shuffle
    return ir.PixelShuffle(2, inverse), [function(x, 2)]


def _pad(draw, x):
    axis = draw(st.integers(0, x.dim() - 1))
    before, after = draw(st.integers(-1, 2)), draw(st.integers(0, 2))
    if axis > 1:
        before, after = min(before, 0), 0
    if x.shape[axis] + before < 1:
        return None
    amounts = tuple((before, after) if a == axis else (0, 0) for a in range(x.dim()))
    flat = [amount for pair in reversed(amounts) for amount in pair]
    return ir.Pad(amounts), [torch.nn.functional.pad(x, flat)]


MOVES = [
    _reshape, _permute, _slice, _split, _flip, _roll, _gather, _repeat, _expand, _shuffle,
    _pixel, _pad,
]  # fmt: skip


def _dense(labels: lb.Labels, shape) -> torch.Tensor:
    cells = lb.spread(labels, dict(enumerate(shape))).cells
    return torch.tensor(cells, dtype=torch.int64).reshape(shape)


def _step(op, inputs, outputs, values) -> tuple[lb.Labels, ...]:
    node = Node("n", op, (Ref("m"),), tuple(TensorSpec(tuple(y.shape)) for y in outputs))
    specs = tuple(TensorSpec(tuple(x.shape)) for x in inputs)
    return move(node, tuple(values), specs, (2 << BITS) - 1)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_random_movements_move_labels_as_torch_moves_elements(data):
    """Any chain of views, moves, joins and pads puts each label where torch puts the element."""
    draw = data.draw
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4)))
    axis = draw(st.integers(0, len(shape) - 1))
    per_position = [1 << (place % BITS) for place in range(shape[axis])]
    view = [1] * len(shape)
    view[axis] = -1
    x = torch.tensor(per_position).reshape(view).expand(shape).contiguous()
    value = lb.along(axis, per_position)
    pool = [(x, value)]
    for _ in range(draw(st.integers(1, 6))):
        x, value = draw(st.sampled_from(pool))
        made = draw(st.sampled_from(MOVES))(draw, x)
        if made is None or sum(y.numel() for y in made[1]) > 3000:
            continue
        op, outputs = made
        moved = _step(op, [x], outputs, [value])
        for y, found in zip(outputs, moved, strict=True):
            assert torch.equal(_dense(found, y.shape), y)
        pool += zip(outputs, moved, strict=True)
        pool += [_joined(draw, [pair for pair in pool if pair[0].shape == outputs[0].shape])]


def _joined(draw, alike):
    pairs = [draw(st.sampled_from(alike)) for _ in range(2)]
    tensors, values = zip(*pairs, strict=True)
    kind = draw(st.sampled_from(["cat", "stack", "add"]))
    axis = draw(st.integers(0, tensors[0].dim() - 1))
    op, y = {
        "cat": (ir.Concat(axis), torch.cat(tensors, axis)),
        "stack": (ir.Stack(axis), torch.stack(tensors, axis)),
        "add": (ir.Add(), reduce(operator.or_, tensors)),
    }[kind]
    (found,) = _step(op, tensors, [y], values)
    assert torch.equal(_dense(found, y.shape), y)
    return y, found


def test_an_identity_reshape_keeps_labels_on_their_own_dim():
    """Flatten and back leaves the labels along the channels only, nothing is written out."""
    value = lb.along(1, [1, 2, 4, 8])
    flat = lb.reshaped(value, (2, 4, 5, 5), (2, 100))
    assert lb.reshaped(flat, (2, 100), (2, 4, 5, 5)) == value


def test_more_cells_than_the_limit_count_as_mixed():
    """A flatten of a huge labelled map gives up, which silences, and takes no memory."""
    value = lb.along(1, [1 << i for i in range(4)])
    side = math.isqrt(lb.MOST_CELLS)
    node = Node("n", ir.Reshape(), (Ref("m"),), (TensorSpec((1, 4 * side * side)),))
    (found,) = move(node, (value,), (TensorSpec((1, 4, side, side)),), 31)
    assert found == lb.uniform(31)


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (ir.Slice((ir.SliceAxis(1, 0, 4),)), (1, 7, 5)),
        (ir.Roll((), (3,)), (1, 4, 5)),
        (ir.Flip((1,)), (1, 9, 5)),
        (ir.Opaque("unknown"), (1, 4, 5)),
        (ir.Reshape(), (0, 4, 5)),
    ],
)
def test_what_the_shapes_do_not_explain_is_mixed(op, shape):
    """A movement whose shapes do not fit its description silences the rules, it does not raise."""
    node = Node("n", op, (Ref("m"),), (TensorSpec(shape),))
    (found,) = move(node, (lb.along(1, [1, 2, 4, 8]),), (TensorSpec((1, 4, 5)),), 31)
    assert found == lb.uniform(31)
