"""CL402: a 1x1 conv and the upsampling before it change places."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convlint
from convlint.ir import nodes as ir
from convlint.tracing import stubs
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings, reasons

CODE = "CL402"


class Grown(nn.Module):
    """A function of the input, then a layer on it."""

    def __init__(self, grow, layer):
        super().__init__()
        self.grow, self.layer = grow, layer

    def forward(self, x):
        return self.layer(self.grow(x))


def up(scale=2, mode="nearest", **options):
    return lambda x: F.interpolate(x, scale_factor=scale, mode=mode, **options)


@pytest.mark.parametrize(("scale", "groups"), [(2, 1), (4, 1), (2, 4)])
def test_saves_the_share_of_positions_that_are_added(scale, groups):
    """MACs x (1 - hw/HW); bytes 2 x (Cin HW - Cout hw) x 4, no parameters."""
    b = Builder(1, 64, 14, 14)
    size = 14 * scale
    grown = b.add(ir.Upsample("bilinear", (scale, scale)), [b.x], (1, 64, size, size))
    b.conv(grown, 48, 1, groups=groups)
    (finding,) = findings(b.graph(), CODE)
    low, high = 14 * 14, size * size
    assert finding.saving.macs == 64 * 48 // groups * (high - low)
    assert finding.saving.params == 0
    moved = finding.saving.activation_bytes + finding.saving.bytes_read
    assert moved == 2 * 4 * (64 * high - 48 * low)


GROWTHS = {
    "nearest": up(),
    "nearest-exact": up(3, "nearest-exact"),
    "bilinear": up(2, "bilinear"),
    "corners": up(2, "bilinear", align_corners=True),
    "antialias": up(2, "bilinear", antialias=True),
    "bicubic": up(2, "bicubic"),
    "area": up(2, "area"),
    "uneven": lambda x: F.interpolate(x, size=(13, 11), mode="bilinear"),
    "broken scale": up(2.3, "bilinear"),
    "recomputed scale": up(2.3, "bilinear", recompute_scale_factor=True),
    "one axis": lambda x: F.interpolate(x, size=(x.shape[2], 17), mode="bicubic"),
    "layer": nn.Upsample(scale_factor=2, mode="bilinear"),
    "old layer": nn.UpsamplingBilinear2d(scale_factor=2),
    "expand": lambda x: x.mean((2, 3), keepdim=True).tanh().expand(-1, -1, 9, 8),
    "tiled": lambda x: x.repeat(1, 1, 2, 3),
}


@pytest.mark.parametrize("name", GROWTHS)
def test_every_way_to_grow(name):
    """With a norm in between and a bias, on a map whose sizes differ."""
    layer = nn.Sequential(nn.BatchNorm2d(6), nn.Dropout(), nn.Conv2d(6, 4, 1))
    made = applied(Grown(GROWTHS[name], layer), CODE, torch.randn(2, 6, 5, 4))
    assert [change.code for change in made.changes] == [CODE]
    assert made.report.after.exact.macs < made.report.totals.macs


MODES = {
    1: ["nearest", "nearest-exact", "linear", "area"],
    2: ["nearest", "nearest-exact", "bilinear", "bicubic", "area"],
    3: ["nearest", "trilinear", "area"],
}


@settings(max_examples=12, deadline=None)
@given(
    data=st.data(), axes=st.integers(1, 3), cin=st.sampled_from([4, 6]),
    cout=st.sampled_from([2, 4]), groups=st.sampled_from([1, 2]), bias=st.booleans(),
    norm=st.booleans(), act=st.booleans(), corners=st.booleans(), batch=st.integers(1, 2),
    factor=st.floats(1.3, 3.0),
)  # fmt: skip
def test_any_upsampling_keeps_its_outputs(
    data, axes, cin, cout, groups, bias, norm, act, corners, batch, factor
):
    """Wherever it fires; a bend after anything but copies is refused."""
    mode = data.draw(st.sampled_from(MODES[axes]))
    options = {"align_corners": corners} if "linear" in mode or mode == "bicubic" else {}
    parts = [getattr(nn, f"BatchNorm{axes}d")(cin)] if norm else []
    parts += [nn.SiLU()] if act else []
    conv = getattr(nn, f"Conv{axes}d")(cin, cout, 1, groups=groups, bias=bias)
    model = Grown(up(factor, mode, **options), nn.Sequential(*parts, conv))
    x = torch.randn(batch, cin, *(4 + place for place in range(axes)))
    if act and not mode.startswith("nearest"):
        assert fires(model, CODE, x) == 0
        assert refused(model, CODE, x) == ["silu stands between"]
    else:
        made = applied(model, CODE, x)
        assert len(made.changes) == 1 or "would" in refused(model, CODE, x.double())[0]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "area"])
def test_an_activation_after_anything_but_copies_bends(mode):
    """What the refusal says, in numbers."""
    grow = up(1.5, mode)
    conv = scrambled(nn.Conv2d(6, 4, 1))
    x = torch.randn(1, 6, 5, 5)
    model = Grown(grow, nn.Sequential(nn.ReLU(), conv))
    assert refused(model, CODE, x) == ["relu stands between"]
    with torch.no_grad():
        expected, other = model(x), grow(conv(torch.relu(x)))
    assert float((expected - other).abs().max()) > 0.05 * float(expected.abs().max())


def test_an_activation_after_copies_moves_too():
    """Nearest neighbours, and anything that grows from one position."""
    bent = nn.Sequential(nn.ReLU(), nn.Conv2d(6, 4, 1))
    x = torch.randn(1, 6, 5, 5)
    assert len(applied(Grown(up(), bent), CODE, x).changes) == 1
    vector = Grown(up(7, "bilinear"), bent)
    assert len(applied(vector, CODE, torch.randn(1, 6, 1, 1)).changes) == 1


class Heads(nn.Module):
    """Two convs on one upsampled map, and what else reads it."""

    def __init__(self, other):
        super().__init__()
        self.one, self.two, self.other = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 2, 1), other

    def forward(self, x):
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        return self.one(x), self.two(x), self.other(x)


def test_two_heads_move_together_and_a_third_reader_stops_both():
    """Each result grows by itself; a 3x3 or a returned map needs the upsampled one anyway."""
    x = torch.randn(1, 6, 5, 5)
    made = applied(Heads(nn.Conv2d(6, 1, 1)), CODE, x)
    assert len(made.changes) == 1
    assert made.report.after.exact.macs == 6 * 7 * 25
    for other in (nn.Conv2d(6, 1, 3), nn.Identity(), nn.ReLU()):
        assert refused(Heads(other), CODE, x) == ["the upsampled map has other readers"]


def test_a_norm_that_two_convs_read_is_left_alone():
    """Its result has two readers, and only one of them can take it along."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(6)
            self.one, self.two = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 2, 1)

        def forward(self, x):
            x = self.norm(F.interpolate(x, scale_factor=2, mode="bilinear"))
            return self.one(x), self.two(x)

    assert refused(Net(), CODE, torch.randn(1, 6, 5, 5)) == ["the upsampled map has other readers"]


def test_a_computed_weight_is_left_alone():
    """A kernel that forward makes of the input."""

    class Dynamic(nn.Module):
        def forward(self, x):
            weight = torch.tanh(x[:1, :, :1, :1]).expand(4, 6, 1, 1)
            return F.conv2d(F.interpolate(x, scale_factor=2), weight)

    assert refused(Dynamic(), CODE, torch.randn(1, 6, 5, 5)) == [
        "its weight is computed in forward"
    ]


def test_a_conv_that_widens_makes_the_interpolation_dearer():
    """4 -> 64: four taps for each of 60 more channels cost more than the products saved."""
    b = Builder(1, 4, 14, 14)
    grown = b.add(ir.Upsample("bilinear", (2.0, 2.0)), [b.x], (1, 4, 28, 28))
    b.conv(grown, 64, 1)
    saved, more = 4 * 64 * (784 - 196), 4 * (64 - 4) * 784
    assert reasons(b.graph(), CODE) == [
        f"it would save {saved:,} MACs and cost {more:,} more other operations"
    ]


def test_bytes_that_outweigh_the_products_are_refused():
    """16 -> 128 by nearest neighbours: the 2 HW Cin bytes are less than the 2 hw Cout ones."""
    b = Builder(1, 16, 14, 14)
    grown = b.add(ir.Upsample("nearest", (2.0, 1.0)), [b.x], (1, 16, 28, 14))
    b.conv(grown, 128, 1)
    more = 2 * 4 * (128 * 196 - 16 * 392)
    saved = 16 * 128 * 196
    assert reasons(b.graph(), CODE) == [
        f"it would move {more:,} bytes more and save {saved / more:.1f} MACs for each, under 4"
    ]


@pytest.mark.parametrize(
    "model",
    [
        Grown(up(), nn.Conv2d(6, 4, 3)),
        Grown(up(), nn.Conv2d(6, 4, 1, stride=2)),
        Grown(up(), nn.Conv2d(6, 4, 1, padding=1)),
        Grown(up(), nn.Sequential(nn.GroupNorm(2, 6), nn.Conv2d(6, 4, 1))),
        Grown(up(), nn.Sequential(nn.MaxPool2d(3, 1), nn.Conv2d(6, 4, 1))),
        Grown(up(0.5), nn.Conv2d(6, 4, 1)),
        Grown(lambda x: x, nn.Sequential(nn.Conv2d(6, 4, 1), nn.Upsample(scale_factor=2))),
        Grown(lambda x: x.repeat(1, 2, 1, 1), nn.Conv2d(12, 4, 1)),
        Grown(lambda x: x.expand(3, -1, -1, -1), nn.Conv2d(6, 4, 1)),
        Grown(nn.ConvTranspose2d(6, 6, 2, 2), nn.Conv2d(6, 4, 1)),
    ],
)
def test_what_is_no_place_at_all(model):
    """Other kernels, maps that shrink or grow along other axes, the right order."""
    assert fires(model, CODE, torch.randn(1, 6, 8, 8)) == 0
    assert refused(model, CODE, torch.randn(1, 6, 8, 8)) == []


def test_a_functional_conv_and_a_shared_one():
    """F.conv2d moves with its weight; two calls of one conv move both."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.shared = nn.Parameter(torch.zeros(4, 6, 1, 1)), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            x = torch.tanh(F.conv2d(F.interpolate(x, scale_factor=2), self.w))
            a = self.shared(F.interpolate(x, scale_factor=2, mode="bilinear"))
            return a, self.shared(F.interpolate(torch.tanh(x), scale_factor=3))

    made = applied(Net(), CODE, torch.randn(1, 6, 5, 5))
    assert len(made.changes) == 3
    assert made.report.after.exact.macs == 24 * 25 + 16 * 100 * 2


def test_the_words():
    """The sizes, the order to write."""
    b = Builder(1, 128, 33, 33)
    grown = b.add(ir.Upsample("bilinear", (65 / 33, 65 / 33)), [b.x], (1, 128, 65, 65))
    b.conv(grown, 21, 1, line=7)
    (finding,) = findings(b.graph(), CODE)
    assert finding.message == (
        "1x1 conv 128->21 runs on 65x65, after bilinear upsampling from 33x33: before it, it runs "
        "on 1089 positions in place of 4225, and the result is the same"
    )
    assert finding.instead.splitlines() == [
        "x = conv(x)  # nn.Conv2d(128, 21, 1, bias=False)",
        'x = F.interpolate(x, size=(65, 65), mode="bilinear")',
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale_factor": 2}, "scale_factor=2"),
        ({"scale_factor": 3}, "scale_factor=3"),
        ({"scale_factor": 1.5}, "scale_factor=1.5"),
        ({"size": (12, 12)}, "scale_factor=1.5"),
        ({"scale_factor": (2, 3)}, "scale_factor=(2, 3)"),
        ({"size": (8, 20)}, "scale_factor=(1, 2.5)"),
        ({"scale_factor": (1.25, 2)}, "scale_factor=(1.25, 2)"),
        ({"scale_factor": 2.3}, "scale_factor=2.3"),
        ({"scale_factor": (2, 1.7)}, "scale_factor=(2, 1.7)"),
        ({"scale_factor": 2.3, "recompute_scale_factor": True}, "scale_factor=2.25"),
        ({"scale_factor": 1.7, "recompute_scale_factor": True}, "scale_factor=1.625"),
        ({"size": (15, 9)}, "scale_factor=(1.875, 1.125)"),
        ({"size": (13, 11)}, "scale_factor=(1.625, 1.375)"),
    ],
)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_the_code_gives_the_very_positions(options, words, mode):
    """A factor where it is one, and what it gives is what was there, in all positions."""
    _same_resize((8, 8), mode, options, words)


@pytest.mark.parametrize(
    ("low", "options", "words"),
    [
        ((33, 33), {"size": (65, 65)}, "size=(65, 65)"),
        ((7, 3), {"size": (14, 7)}, "size=(14, 7)"),
        ((3, 3), {"scale_factor": 2.3, "recompute_scale_factor": True}, "scale_factor=2"),
        ((3, 3), {"scale_factor": 2.3}, "scale_factor=2.3"),
    ],
)
def test_no_factor_is_made_up(low, options, words):
    """65 of 33 is no short number: the sizes. 2.3 of 3 gives 6 positions that 2 does not give."""
    _same_resize(low, "bilinear", options, words)


def _same_resize(low, mode, options, words):
    model = Grown(lambda x: F.interpolate(x, mode=mode, **options), nn.Conv2d(6, 4, 1))
    (finding,) = convlint.lint(model.eval(), torch.randn(1, 6, *low), select=(CODE,)).findings
    code = finding.instead.splitlines()[1].removeprefix("x = ")
    assert f"({', '.join(['x', words])}" in code
    x = torch.randn(1, 4, *low).double()
    assert torch.equal(eval(code, {"F": F, "x": x}), F.interpolate(x, mode=mode, **options))


def _segmentation(name, size):
    stubs.install()
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        build = getattr(torchvision.models.segmentation, name)
        model = build(weights=None, weights_backbone=None)
    return convlint.lint(model, torch.zeros(1, 3, size, size), select=(CODE,))


@pytest.mark.parametrize(("size", "low", "high"), [(520, 33, 65), (224, 14, 28)])
def test_lraspp_classifies_at_the_higher_resolution(size, low, high):
    """high_classifier, 128 -> 21, after the map went from 1/16 to 1/8; low_classifier stays."""
    report = _segmentation("lraspp_mobilenet_v3_large", size)
    (finding,) = report.findings
    assert finding.modules == ("classifier.high_classifier",)
    assert finding.saving.macs == 128 * 21 * (high * high - low * low)
    assert finding.saving.macs_percent == pytest.approx({520: 0.40, 224: 0.42}[size], abs=0.005)


@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_resnet50"])
def test_segmentation_nets_that_classify_before_they_resize(name):
    """Nothing follows the resize."""
    assert _segmentation(name, 520).findings == ()
