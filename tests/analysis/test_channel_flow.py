"""Islands, shuffles and mixtures between grouped convs, in every spelling."""

from __future__ import annotations

import time

import pytest

from convlint.analysis.channel_flow import Flow, grouped_pairs
from convlint.ir import nodes as ir
from tests.graphs import Builder


def _pairs(b: Builder):
    return [(pair.flow, pair.islands) for pair in grouped_pairs(b.graph())]


def _between(b, x, spelling):
    """Spell something between two grouped convs of 32 channels, 4 groups, on 8x8."""
    if spelling == "nothing":
        return x
    if spelling == "view":
        return b.add(ir.Reshape(), [b.add(ir.Reshape(), [x], (1, 4, 8, 8, 8))], (1, 32, 8, 8))
    if spelling == "view-transpose":
        return b.shuffle(x, 4)
    if spelling == "shuffle-and-back":
        return b.shuffle(b.shuffle(x, 4), 8)
    if spelling == "module":
        return b.same(ir.ChannelShuffle(4), x)
    if spelling == "index-select":
        return b.same(ir.Gather(1, tuple((i * 8 + i // 4) % 32 for i in range(32))), x)
    if spelling == "identity-index":
        return b.same(ir.Gather(1, tuple(range(32))), x)
    if spelling == "unknown-index":
        return b.same(ir.Gather(1, None), x)
    if spelling == "strided-slices":
        parts = [b.add(ir.Slice((ir.SliceAxis(1, i, 32, 4),)), [x], (1, 8, 8, 8)) for i in range(4)]
        return b.add(ir.Concat(1), parts, (1, 32, 8, 8))
    if spelling == "chunk-swap":
        split = b.add(ir.Split(1, (16, 16)), [x], (1, 16, 8, 8), (1, 16, 8, 8))
        return b.add(ir.Concat(1), [ir.Ref(split.node, 1), split], (1, 32, 8, 8))
    if spelling == "channels-last":
        y = b.add(ir.Permute((0, 2, 3, 1)), [x], (1, 8, 8, 32))
        return b.add(ir.Permute((0, 3, 1, 2)), [b.relu(y)], (1, 32, 8, 8))
    if spelling == "swap-space":
        return b.same(ir.Permute((0, 1, 3, 2)), x)
    if spelling == "depthwise":
        return b.relu(b.norm(b.conv(x, 32, 3, groups=32)))
    if spelling == "pool-norm-relu":
        op = ir.Pool("max", (2, 2), (1, 1), (0, 0))
        return b.relu(b.norm(b.add(op, [x], (1, 32, 7, 7))))
    if spelling == "roll":
        return b.same(ir.Roll((1,), (1,)), x)
    if spelling == "roll-whole-groups":
        return b.same(ir.Roll((1,), (8,)), x)
    if spelling == "flip":
        return b.same(ir.Flip((1,)), x)
    if spelling == "add-rolled":
        return b.sum(x, b.same(ir.Roll((1,), (8,)), x))
    if spelling == "scale":
        gamma = b.add(ir.Constant("parameter"), [], (32, 1, 1))
        return b.same(ir.Mul(), x, gamma)
    if spelling == "group-norm-4":
        return b.same(ir.Norm("group", groups=4), x)
    if spelling == "group-norm-2":
        return b.same(ir.Norm("group", groups=2), x)
    if spelling == "layer-norm":
        return b.same(ir.Norm("layer", axes=(1, 2, 3)), x)
    if spelling == "softmax":
        return b.same(ir.Softmax(1), x)
    if spelling == "dense":
        return b.conv(x, 32, 1)
    if spelling == "residual-dense":
        return b.sum(x, b.conv(x, 32, 1))
    if spelling == "squeeze-excite":
        return b.same(ir.Mul(), x, b.conv(b.pool(x), 32, 1))
    if spelling == "opaque":
        return b.same(ir.Opaque("fft"), x)
    raise ValueError(spelling)


@pytest.mark.parametrize(
    ("spelling", "islands"),
    [
        ("nothing", 4),
        ("view", 4),
        ("shuffle-and-back", 4),
        ("identity-index", 4),
        ("chunk-swap", 4),
        ("channels-last", 4),
        ("swap-space", 4),
        ("depthwise", 4),
        ("pool-norm-relu", 4),
        ("roll-whole-groups", 4),
        ("flip", 4),
        ("scale", 4),
        ("group-norm-4", 4),
        ("group-norm-2", 2),
    ],
)
def test_these_leave_islands(spelling, islands):
    """What moves whole groups, or nothing, leaves the groups apart."""
    b = Builder(1, 32, 8, 8)
    b.conv(_between(b, b.conv(b.x, 32, 3, groups=4), spelling), 32, 3, groups=4)
    assert _pairs(b) == [(Flow.ISLANDS, islands)]


@pytest.mark.parametrize(
    ("spelling", "flow"),
    [
        ("view-transpose", Flow.SHUFFLED),
        ("module", Flow.SHUFFLED),
        ("index-select", Flow.SHUFFLED),
        ("strided-slices", Flow.SHUFFLED),
        ("roll", Flow.SHUFFLED),
        ("add-rolled", Flow.SHUFFLED),
    ],
)
def test_these_shuffle(spelling, flow):
    """What moves channels across the groups' borders joins them, however it is written."""
    b = Builder(1, 32, 8, 8)
    b.conv(_between(b, b.conv(b.x, 32, 3, groups=4), spelling), 32, 3, groups=4)
    assert _pairs(b) == [(flow, 1)]


@pytest.mark.parametrize(
    "spelling",
    [
        "dense",
        "residual-dense",
        "squeeze-excite",
        "opaque",
        "layer-norm",
        "softmax",
        "unknown-index",
    ],
)
def test_these_mix_by_computation(spelling):
    """Dense layers, attention and whatever is not known never count as islands or shuffles."""
    b = Builder(1, 32, 8, 8)
    b.conv(_between(b, b.conv(b.x, 32, 3, groups=4), spelling), 32, 3, groups=4)
    assert all(flow is Flow.MIXED for flow, _ in _pairs(b))


def test_nested_group_counts_keep_the_smaller_number_of_islands():
    """g=2 then g=4 leaves 2 islands, and so does g=4 then g=2."""
    for first, second in ((2, 4), (4, 2)):
        b = Builder(1, 32, 8, 8)
        b.conv(b.conv(b.x, 32, 3, groups=first), 32, 3, groups=second)
        assert _pairs(b) == [(Flow.ISLANDS, 2)]


def test_misaligned_group_counts_join():
    """g=2 then g=3 share a group across the border: one component."""
    b = Builder(1, 12, 8, 8)
    b.conv(b.conv(b.x, 12, 3, groups=2), 12, 3, groups=3)
    assert _pairs(b) == [(Flow.SHUFFLED, 1)]


def test_a_group_that_nothing_of_the_first_feeds_makes_no_pair():
    """Concat with another tensor that alone feeds a group: the islands are not the first's."""
    b = Builder(1, 32, 8, 8)
    x = b.conv(b.x, 32, 3, groups=4)
    b.conv(b.add(ir.Concat(1), [x, b.x], (1, 64, 8, 8)), 64, 3, groups=4)
    assert _pairs(b) == []


def test_a_dense_parallel_path_joins_the_islands():
    """Decided over all paths: a dense branch beside the direct one silences the pair."""
    b = Builder(1, 32, 8, 8)
    x = b.conv(b.x, 32, 3, groups=4)
    b.conv(b.sum(b.conv(x, 32, 1), b.relu(x)), 32, 3, groups=4)
    assert all(flow is Flow.MIXED for flow, _ in _pairs(b))


def test_depthwise_pairs_with_depthwise_only():
    """dw-dw is a pair of C islands; dw-pw-dw, dw-grouped and a dw pair made of strips are none."""
    b = Builder(1, 16, 8, 8)
    b.conv(b.relu(b.conv(b.x, 16, 3, groups=16)), 16, 3, groups=16)
    assert _pairs(b) == [(Flow.ISLANDS, 16)]
    b = Builder(1, 16, 8, 8)
    x = b.conv(b.conv(b.conv(b.x, 16, 3, groups=16), 16, 1), 16, 3, groups=16)
    assert [pair for pair in _pairs(b) if pair[0] is Flow.ISLANDS] == []
    b = Builder(1, 16, 8, 8)
    x = b.conv(b.x, 16, 3, groups=16)
    b.conv(x, 16, 3, groups=4)
    assert _pairs(b) == []
    for first, second in (((5, 5), (7, 7)), ((1, 7), (7, 1))):
        b = Builder(1, 16, 32, 32)
        dilation = 3 if first == (5, 5) else 1
        b.conv(b.conv(b.x, 16, first, groups=16), 16, second, groups=16, dilation=dilation)
        assert _pairs(b) == []


def test_fixed_filters_mixers_and_pyramids_are_no_depthwise_pair():
    """A blur pool (a buffer as kernel), a shortcut, and a tapped context (FocalNet) do not pair."""
    b = Builder(1, 16, 8, 8)
    b.conv(b.conv(b.x, 16, 3, groups=16), 16, 3, groups=16, buffer=True)
    assert _pairs(b) == []
    b = Builder(1, 16, 8, 8)
    b.conv(b.sum(b.x, b.conv(b.x, 16, 3, groups=16)), 16, 3, groups=16)
    assert _pairs(b) == []
    b = Builder(1, 16, 8, 8)
    near = b.relu(b.conv(b.x, 16, 3, groups=16))
    b.sum(near, b.conv(near, 16, 5, groups=16))
    assert _pairs(b) == []


def test_channel_multiplier_keeps_each_channel_apart():
    """A depthwise conv with two outputs a channel spreads the label of that channel."""
    b = Builder(1, 16, 8, 8)
    x = b.conv(b.conv(b.x, 16, 3, groups=4), 32, 3, groups=16)
    b.conv(x, 32, 3, groups=4)
    assert (Flow.ISLANDS, 4) in _pairs(b)


def test_labels_that_vary_over_the_batch_are_mixtures():
    """Groups that come from channels folded into the batch are not judged."""
    b = Builder(4, 8, 8, 8)
    x = b.conv(b.x, 8, 3, groups=2)
    x = b.add(ir.Reshape(), [x], (32, 1, 8, 8))
    x = b.conv(x, 8, 3)
    b.conv(x, 8, 3, groups=2)
    assert all(flow is Flow.MIXED for flow, _ in _pairs(b))


def test_channels_folded_into_space_and_back_are_followed():
    """Flatten, roll the flat axis by one group, view back: whole groups moved, still islands."""
    b = Builder(1, 32, 4, 4)
    x = b.add(ir.Reshape(), [b.conv(b.x, 32, 3, groups=4)], (1, 512))
    x = b.same(ir.Roll((1,), (128,)), x)
    b.conv(b.add(ir.Reshape(), [x], (1, 32, 4, 4)), 32, 3, groups=4)
    assert _pairs(b) == [(Flow.ISLANDS, 4)]


def test_pixel_shuffle_and_back_is_the_identity():
    """Space to depth after depth to space puts every channel where it was."""
    b = Builder(1, 32, 4, 4)
    x = b.conv(b.x, 32, 3, groups=4)
    x = b.add(ir.PixelShuffle(2), [x], (1, 8, 8, 8))
    x = b.add(ir.PixelShuffle(2, inverse=True), [x], (1, 32, 4, 4))
    b.conv(x, 32, 3, groups=4)
    assert _pairs(b) == [(Flow.ISLANDS, 4)]


@pytest.mark.parametrize("mix", [True, False])
def test_long_nets_take_linear_time(mix):
    """5,000 grouped convs, as ResNeXt bottlenecks or bare, take seconds at most."""
    b = Builder(1, 8, 4, 4)
    x, count = b.x, 5_000
    shape = (1, 8, 4, 4)
    b.shape = lambda _ref: shape
    for _ in range(count):
        y = b.conv(x, 8, 3, groups=2)
        x = b.sum(x, b.conv(y, 8, 1)) if mix else y
    start = time.perf_counter()
    pairs = grouped_pairs(b.graph())
    assert time.perf_counter() - start < 10
    assert len([p for p in pairs if p.flow is Flow.ISLANDS]) == (0 if mix else count - 1)
