"""Receptive fields against the published formulas and known numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from convlint.analysis.receptive_field import Field, receptive_fields
from convlint.ir import nodes as ir
from convlint.ir.nodes import Ref
from tests.graphs import Builder


def _field(b: Builder, x: Ref) -> Field:
    return receptive_fields(b.graph())[x.node]


def _square(*sizes):
    return Field(*(size if size is None else (Fraction(size),) * 2 for size in sizes))


def _pool(b, x, kernel=3, stride=2, kind="max"):
    n, c, h, _ = b.shape(x)
    size = (h + 2 * (kernel // 2) - kernel) // stride + 1
    op = ir.Pool(kind, (kernel,) * 2, (stride,) * 2, (kernel // 2,) * 2)
    return b.add(op, [x], (n, c, size, size))


def _resnet18(b):
    x = _pool(b, b.relu(b.norm(b.conv(b.x, 64, 7, stride=2))))
    for width, stride in (
        (64, 1),
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
    ):
        y = b.conv(b.relu(b.conv(x, width, 3, stride=stride)), width, 3)
        short = x if stride == 1 else b.conv(x, width, 1, stride=2)
        x = b.relu(b.sum(y, short))
    return y


def test_resnet18_has_its_known_numbers():
    """139 by the shortcuts and 435 along the longest path, as other tools publish."""
    b = Builder(1, 3, 224, 224)
    assert _field(b, _resnet18(b)) == _square(139, 435)


def test_vgg16_has_its_known_number():
    """196 at the last conv of VGG16."""
    b = Builder(1, 3, 224, 224)
    x = b.x
    for place, count in enumerate((2, 2, 3, 3, 3)):
        x = _pool(b, x, 2, 2) if place else x
        for _ in range(count):
            x = b.conv(x, 8, 3)
    assert _field(b, x) == _square(196, 196)


@pytest.mark.parametrize(("dilation", "field"), [(1, 5), (2, 9), (4, 17)])
def test_dilation_multiplies_the_taps_apart(dilation, field):
    """r grows by dilation * (k-1) * j."""
    b = Builder(1, 3, 64, 64)
    assert _field(b, b.conv(b.x, 8, 5, dilation=dilation)) == _square(field, field)


@pytest.mark.parametrize(("kernel", "stride", "then"), [(2, 2, 2), (3, 2, 3), (4, 2, 3), (4, 4, 2)])
def test_transposed_conv_divides_the_jump(kernel, stride, then):
    """After it a 3-tap conv spans 2/stride input pixels more."""
    b = Builder(1, 3, 16, 16)
    x = b.conv(b.x, 8, kernel, stride=stride, padding=0, transposed=True)
    up = Fraction(-(-kernel // stride))
    assert _field(b, x) == _square(up, up)
    y = b.conv(x, 8, 3)
    assert _field(b, y) == _square(up + Fraction(2, stride), up + Fraction(2, stride))
    assert then >= up


@pytest.mark.parametrize(
    ("mode", "read"), [("nearest", 0), ("bilinear", 1), ("bicubic", 3), ("area", 0)]
)
def test_upsampling_reads_neighbours_by_mode(mode, read):
    """Nearest adds nothing, bilinear one jump, bicubic three; the jump halves at x2."""
    b = Builder(1, 3, 16, 16)
    x = b.add(ir.Upsample(mode, (2.0, 2.0)), [b.x], (1, 3, 32, 32))
    field = 1 + read + Fraction(2, 2)
    assert _field(b, b.conv(x, 8, 3)) == _square(field, field)


def test_pixel_shuffle_divides_the_jump():
    """x2 pixel shuffle keeps r; a 3-tap conv after it adds one input pixel."""
    b = Builder(1, 12, 16, 16)
    x = b.add(ir.PixelShuffle(2), [b.x], (1, 3, 32, 32))
    assert _field(b, b.conv(x, 8, 3)) == _square(2, 2)


def test_axes_are_kept_apart():
    """A 1x7 conv grows one axis only; a strided slice multiplies the jump of its axis."""
    b = Builder(1, 3, 64, 64)
    x = b.conv(b.x, 8, (1, 7))
    x = b.add(ir.Slice((ir.SliceAxis(3, 0, 64, 2),)), [x], (1, 8, 64, 32))
    field = (Fraction(3), Fraction(11))
    assert _field(b, b.conv(x, 8, 3)) == Field(field, field)


def test_squeeze_excite_gate_counts_in_max_only():
    """The gate gives global context: max is infinite, min is that of the main path."""
    b = Builder(1, 3, 32, 32)
    x = b.conv(b.x, 8, 3)
    y = b.same(ir.Mul(), x, b.conv(b.pool(x), 8, 1))
    assert _field(b, b.conv(y, 8, 3)) == _square(5, None)


@pytest.mark.parametrize("kind", ["pool", "mean", "flatten", "attention"])
def test_global_context_is_infinite(kind):
    """Global pooling, mean over H and W, flatten and attention see the whole input."""
    b = Builder(1, 3, 8, 8)
    x = b.conv(b.x, 8, 3)
    y = {
        "pool": lambda: b.pool(x),
        "mean": lambda: b.add(ir.Reduce("mean", (2, 3)), [x], (1, 8)),
        "flatten": lambda: b.add(ir.Reshape(), [x], (1, 512)),
        "attention": lambda: b.same(ir.Attention(1, 64, 64, 8, 8), x),
    }[kind]()
    assert _field(b, y) == Field(None, None)


def test_channels_last_and_channel_shuffles_change_nothing():
    """Permutes to and fro, and views that cut the channels, leave the spatial axes alone."""
    b = Builder(1, 3, 32, 32)
    x = b.conv(b.x, 8, 7)
    last = b.add(ir.Permute((0, 2, 3, 1)), [x], (1, 32, 32, 8))
    x = b.add(ir.Permute((0, 3, 1, 2)), [b.linear(last, 8)], (1, 8, 32, 32))
    x = b.shuffle(x, 2)
    assert _field(b, b.conv(x, 8, 3)) == _square(9, 9)


def test_frames_folded_into_the_batch_keep_their_fields():
    """Video run frame by frame: (N, C, T, H, W) to (N*T, C, H, W) keeps H and W."""
    b = Builder(2, 3, 4, 8, 8)
    x = b.add(ir.Permute((0, 2, 1, 3, 4)), [b.x], (2, 4, 3, 8, 8))
    x = b.conv(b.add(ir.Reshape(), [x], (8, 3, 8, 8)), 8, 3)
    one, three = Fraction(1), Fraction(3)
    assert _field(b, x) == Field((one, three, three), (one, three, three))


def test_concat_keeps_the_extremes():
    """Of branches of 1, 3 and 5 taps the smallest and the largest field stay."""
    b = Builder(1, 3, 32, 32)
    parts = [b.conv(b.x, 8, k) for k in (1, 3, 5)]
    x = b.add(ir.Concat(1), parts, (1, 24, 32, 32))
    assert _field(b, x) == _square(1, 5)


@pytest.mark.parametrize("first", [True, False])
def test_a_scale_with_fewer_dims_leaves_the_axes_where_they_are(first):
    """ConvNeXt's layer scale, (C, 1, 1) times (N, C, H, W), in either order."""
    b = Builder(1, 3, 32, 32)
    x = b.conv(b.x, 8, 7)
    scale = b.add(ir.Constant("parameter", "scale"), [], (8, 1, 1))
    x = b.add(ir.Mul(), [scale, x] if first else [x, scale], (1, 8, 32, 32))
    assert _field(b, b.conv(x, 8, 3)) == _square(9, 9)
