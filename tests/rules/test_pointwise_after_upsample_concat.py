"""CL403: 1x1 convs of a concatenation, each upsampled part convolved before it grows."""

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
from tests.rules.runs import findings, reasons, rule

CODE = "CL403"


class Fuse(nn.Module):
    """Maps of several sizes, brought together by ``join``, and the layers that read the result."""

    def __init__(self, join, *layers, sizes=((8, 6), (4, 3), (2, 3)), channels=4, axes=2):
        super().__init__()
        self.stems = nn.ModuleList(getattr(nn, f"Conv{axes}d")(2, channels, 1) for _ in sizes)
        self.layers, self.join, self.sizes = nn.ModuleList(layers), join, sizes

    def forward(self, x):
        maps = [F.interpolate(x, size=size, mode="nearest") for size in self.sizes]
        maps = [torch.tanh(stem(y)) for stem, y in zip(self.stems, maps, strict=True)]
        joined = self.join(*maps)
        return tuple(layer(joined) for layer in self.layers)


def to(x, like, mode="bilinear", **options):
    return F.interpolate(x, size=like.shape[2:], mode=mode, **options)


X = torch.randn(2, 2, 8, 6)


@pytest.mark.parametrize(("ca", "cb", "cout"), [(64, 32, 48), (128, 64, 32)])
def test_saves_the_products_of_the_added_positions(ca, cb, cout):
    """MACs Ca x Cout x (HW - hw), no parameters; bytes 4 x (Ca - Cout) a position and more."""
    b = Builder(1, cb, 28, 28)
    low = b.relu(b.conv(b.x, ca, 2, stride=2, padding=0))
    grown = b.add(ir.Upsample("bilinear", (2.0, 2.0)), [low], (1, ca, 28, 28))
    joined = b.add(ir.Concat(1), [grown, b.x], (1, ca + cb, 28, 28))
    b.conv(joined, cout, 1, bias=True)
    (finding,) = findings(b.graph(), CODE)
    high, small = 28 * 28, 14 * 14
    assert finding.saving.macs == ca * cout * (high - small)
    assert finding.saving.params == 0
    moved = finding.saving.activation_bytes + finding.saving.bytes_read
    before = (ca + small / high * ca) + 2 * (ca + cb) + (ca + cb + cout)
    after = (cb + cout) + small / high * (ca + cout) + (small / high * cout + cout) + 3 * cout
    assert moved == pytest.approx(4 * high * (before - after))


JOINS = {
    "first": lambda a, b, c: torch.cat([to(b, a), a], 1),
    "last": lambda a, b, c: torch.cat([a, to(b, a)], 1),
    "between": lambda a, b, c: torch.cat([a, to(b, a), torch.relu(a)], 1),
    "two sizes": lambda a, b, c: torch.cat([to(b, a), a, to(c, a, "nearest")], 1),
    "all grown": lambda a, b, c: torch.cat([to(b, a), to(c, a)], 1),
    "one way": lambda a, b, c: torch.cat([to(y, a) for y in (b, torch.relu(b))], 1),
    "one way and the rest": lambda a, b, c: torch.cat(
        [to(b, a), a, *(to(y, a) for y in (b.sin(), b.cos()))], 1
    ),
    "pooled": lambda a, b, c: torch.cat(
        [a, *(to(F.adaptive_avg_pool2d(a, n), a, align_corners=True) for n in (1, 2, 3))], 1
    ),
    "nested": lambda a, b, c: torch.cat([torch.cat([to(b, a), a], 1), to(c, a)], 1),
    "copies bend": lambda a, b, c: torch.cat([F.silu(to(b, a, "nearest")), a], 1),
    "expanded": lambda a, b, c: torch.cat([c.mean((2, 3), True).expand_as(a), to(b, a), a], 1),
    "dropped": lambda a, b, c: F.dropout(torch.cat([to(b, a), a], 1), training=False),
}  # fmt: skip


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", JOINS)
def test_every_way_to_join(name, bias):
    """The parts in any order, several of one size, pooled ones, concatenations within."""
    join = JOINS[name]
    with torch.no_grad():
        width = join(*(torch.zeros(1, 4, *size) for size in ((8, 6), (4, 3), (2, 3)))).shape[1]
    made = applied(Fuse(join, nn.Conv2d(width, 3, 1, bias=bias)), CODE, X)
    assert [change.code for change in made.changes] == [CODE]
    assert made.report.after.exact.macs < made.report.totals.macs
    assert made.report.after.exact.params == made.report.totals.params


MODES = {1: ["nearest", "linear"], 2: ["nearest", "bilinear", "bicubic", "area"], 3: ["trilinear"]}


@settings(max_examples=12, deadline=None)
@given(
    data=st.data(), axes=st.integers(1, 3), grown=st.lists(st.booleans(), min_size=1, max_size=4),
    cout=st.integers(1, 3), bias=st.booleans(), norm=st.booleans(), act=st.booleans(),
    batch=st.integers(1, 2), layers=st.integers(1, 2),
)  # fmt: skip
def test_any_concatenation_keeps_its_outputs(
    data, axes, grown, cout, bias, norm, act, batch, layers
):
    """Wherever it fires: norms between, bends after copies, one conv or two."""
    high = (6, 5, 4)[:axes]
    sizes = [high if not up else data.draw(st.sampled_from([(1,), (2,), (3,)])) for up in grown]
    sizes = [size if len(size) == axes else size * axes for size in sizes]
    modes = [data.draw(st.sampled_from(MODES[axes])) for _ in grown]
    norms = nn.ModuleList(getattr(nn, f"BatchNorm{axes}d")(4) for _ in grown)

    class Net(Fuse):
        def __init__(self, *given, **options):
            super().__init__(*given, **options)
            self.norms = norms

    def join(*maps):
        parts = []
        for y, up, mode, each in zip(maps, grown, modes, norms, strict=True):
            part = F.interpolate(y, size=high, mode=mode) if up else y
            part = each(part) if norm else part
            parts.append(F.silu(part) if act and mode == "nearest" else part)
        return torch.cat(parts, 1)

    convs = [getattr(nn, f"Conv{axes}d")(4 * len(grown), cout, 1, bias=bias) for _ in range(layers)]
    model = Net(join, *convs, sizes=sizes, axes=axes)
    x = torch.randn(batch, 2, *(7,) * axes)
    made = applied(model, CODE, x)
    several = any(up and size != (1,) * axes for up, size in zip(grown, sizes, strict=True))
    assert len(made.changes) == several or "would" in refused(model, CODE, x.double())[0]


def test_two_convs_that_read_one_concatenation_are_cut_together():
    """The cross stage of a detector: the upsampled map and the concatenation go."""
    join = JOINS["first"]
    made = applied(Fuse(join, nn.Conv2d(8, 3, 1), nn.Conv2d(8, 2, 1)), CODE, X)
    assert len(made.changes) == 1
    stems = 2 * 4 * (48 + 12 + 6) * 2
    assert made.report.after.exact.macs == stems + 2 * 4 * 5 * (48 + 12)


def test_parts_that_grow_in_one_way_are_convolved_as_one():
    """All parts alike: the conv keeps its weight and moves before one upsampling."""
    join = JOINS["one way"]
    made = applied(Fuse(join, nn.Conv2d(8, 3, 1), sizes=((8, 6), (4, 3), (2, 3))), CODE, X)
    assert {"layers.0.weight", "layers.0.bias"} <= set(made.module.state_dict())


def test_chains_with_what_other_rules_find():
    """Nearest neighbours of two sizes leave sums that are then added at the lower resolution."""
    join = lambda a, b, c: torch.cat([to(b, a, "nearest"), a, to(c, a, "nearest")], 1)  # noqa: E731
    model = scrambled(Fuse(join, nn.Conv2d(12, 3, 1), sizes=((8, 8), (4, 4), (2, 2)))).double()
    x = torch.randn(1, 2, 8, 8).double()
    made = convlint.apply(model, x, rules=(CODE, "CL423"))
    assert {change.code for change in made.changes} == {CODE, "CL423"}
    assert made.largest_difference < 1e-12


REFUSED = {
    "bent": (
        lambda a, b, c: torch.cat([torch.relu(to(b, a)), a], 1),
        "relu stands between the upsampling and the concatenation",
    ),
    "twice": (
        lambda a, b, c: (lambda y: torch.cat([y, y], 1))(to(b, a)),
        "the upsampled map has other readers",
    ),
    "read elsewhere": (
        lambda a, b, c: (lambda y: torch.cat([y, a + y], 1))(to(b, a)),
        "the upsampled map has other readers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_parts_that_are_left_alone(name):
    """Each with its reason."""
    join, reason = REFUSED[name]
    assert refused(Fuse(join, nn.Conv2d(8, 3, 1)), CODE, X) == [reason]


def test_a_bend_after_bilinear_is_another_function():
    """What the refusal says, in numbers."""
    a, b = torch.randn(1, 4, 8, 6), torch.randn(1, 4, 4, 3)
    conv = scrambled(nn.Conv2d(8, 3, 1))
    with torch.no_grad():
        expected = conv(torch.cat([torch.relu(to(b, a)), a], 1))
        low = F.conv2d(torch.relu(b), conv.weight[:, :4])
        other = F.conv2d(a, conv.weight[:, 4:], conv.bias) + to(low, a)
    assert float((expected - other).abs().max()) > 0.05 * float(expected.abs().max())


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((nn.Conv2d(8, 4, 1, groups=2),), "groups=2: it reads no concatenation whole"),
        ((nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 3)), "a larger kernel reads the concatenation too"),
        ((nn.Conv2d(8, 4, 1), nn.ReLU()), "the concatenation has other readers"),
        ((nn.Conv2d(8, 4, 1), nn.Identity()), "the concatenation has other readers"),
        (
            (nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1, stride=2)),
            "a larger kernel reads the concatenation too",
        ),
    ],
)
def test_readers_that_stop_it(layers, reason):
    """Anything but dense 1x1 convs needs the concatenation anyway."""
    assert refused(Fuse(JOINS["first"], *layers), CODE, X) == [reason]


def test_shared_and_computed_weights_are_left_alone():
    """Cut for one call, a weight would be wrong for the other."""

    class Twice(Fuse):
        def forward(self, x):
            (y,) = super().forward(x)
            return y, self.layers[0](torch.cat([y, y], 1))

    twice = Twice(JOINS["first"], nn.Conv2d(8, 4, 1))
    assert refused(twice, CODE, X) == ["layers.0 uses the same weight"]

    class Dynamic(Fuse):
        def forward(self, x):
            weight = torch.tanh(x[:1, :1, :1, :1]).expand(3, 8, 1, 1)
            a, b = (torch.tanh(stem(x)) for stem in self.stems)
            return F.conv2d(torch.cat([to(b[:, :, ::2], a), a], 1), weight)

    dynamic = Dynamic(None, sizes=((8, 6), (4, 3)))
    assert refused(dynamic, CODE, X) == ["its weight is computed in forward"]


def test_a_weight_that_is_computed_from_parameters_is_cut():
    """weight_norm, and a kernel in two parts: the weight that they make is cut into columns."""

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = (nn.Parameter(torch.zeros(3, 8, 1, 1)) for _ in range(2))

        def forward(self, x):
            return F.conv2d(x, self.one + self.two)

    for layer in (Sum(), nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 3, 1))):
        model = scrambled(Fuse(JOINS["first"], layer)).double()
        made = convlint.apply(model, X.double(), rules=(CODE,))
        assert len(made.changes) == 1
        assert made.largest_difference < 1e-12


@pytest.mark.parametrize(
    "join",
    [
        lambda a, b, c: torch.cat([a, torch.relu(a)], 1),
        lambda a, b, c: torch.cat([to(a, c), c], 1),
        lambda a, b, c: torch.cat([to(b, a), a], 1).relu(),
        lambda a, b, c: torch.cat([to(b, a), a], 2)[:, :, :8].repeat(1, 2, 1, 1),
    ],
)
def test_what_is_no_place_at_all(join):
    """Nothing grew, an activation after the concatenation, another axis."""
    assert refused(Fuse(join, nn.Conv2d(8, 3, 1)), CODE, X) == []
    assert fires(Fuse(join, nn.Conv2d(8, 3, 1)), CODE, X) == 0


def _pyramid(cout, channels=10):
    """A map of 40 channels and two pooled branches, fused to many channels."""
    b = Builder(1, 40, 64, 64)
    parts = [b.x]
    for size in (2, 4):
        k = 64 // size
        low = b.add(ir.Pool("avg", (k, k), (k, k), (0, 0)), [b.x], (1, 40, size, size))
        low = b.relu(b.conv(low, channels, 1))
        scale = (float(k), float(k))
        parts.append(b.add(ir.Upsample("bilinear", scale), [low], (1, channels, 64, 64)))
    joined = b.add(ir.Concat(1), parts, (1, 40 + 2 * channels, 64, 64))
    b.conv(joined, cout, 1, line=7)
    return b.graph()


def test_more_bytes_are_told_and_make_an_info():
    """10 channels that grow to 512: MACs fall, bytes rise by much more."""
    (finding,) = findings(_pyramid(512), CODE)
    assert finding.saving.macs == 10 * 512 * (2 * 4096 - 4 - 16)
    assert finding.severity == "info"
    more = -(finding.saving.activation_bytes + finding.saving.bytes_read)
    assert f"it moves {more / 2**20:.1f} MiB more, so time it" in finding.message
    (narrow,) = findings(_pyramid(8), CODE)
    assert "MiB more" not in narrow.message
    assert narrow.severity == "warning"


def test_a_limit_on_the_bytes_refuses():
    """The option names MACs for each byte; what saves less is left alone, with the figures."""
    options = rule(CODE).options(min_macs_per_byte=10)
    assert findings(_pyramid(512), CODE, options) == ()
    assert len(findings(_pyramid(8), CODE, options)) == 1
    model = Fuse(JOINS["first"], nn.Conv2d(8, 32, 1))
    assert refused(model, CODE, X, profile="cpu")[0].startswith("it would")


def test_where_nothing_is_saved_it_says_so():
    """3 -> 64 channels: the interpolation of 61 more costs more than the products."""
    b = Builder(1, 3, 28, 28)
    low = b.add(ir.Pool("max", (2, 2), (2, 2), (0, 0)), [b.x], (1, 3, 14, 14))
    grown = b.add(ir.Upsample("bilinear", (2.0, 2.0)), [low], (1, 3, 28, 28))
    joined = b.add(ir.Concat(1), [grown, b.x], (1, 6, 28, 28))
    b.conv(joined, 64, 1)
    assert "more other operations" in reasons(b.graph(), CODE)[0]


def test_the_head_of_hrnet():
    """48 + 96 + 192 + 384 channels into 720: 87.5 % of the layer, 59.5 GMACs at 256x512."""
    b = Builder(1, 48, 256, 512)
    parts = [b.x]
    for factor, channels in ((2, 96), (4, 192), (8, 384)):
        low = b.relu(b.conv(b.x, channels, factor, stride=factor, padding=0))
        size = (1, channels, 256, 512)
        parts.append(b.add(ir.Upsample("bilinear", (float(factor),) * 2), [low], size))
    b.conv(b.add(ir.Concat(1), parts, (1, 720, 256, 512)), 720, 1, bias=True)
    (finding,) = findings(b.graph(), CODE)
    assert finding.saving.macs == 720 * 720 * 256 * 512 * 7 // 8
    assert finding.severity == "warning"


def test_the_words():
    """Each part, its channels and sizes; the sum to write; how the weight is cut."""
    b = Builder(1, 64, 56, 56)
    low = b.relu(b.conv(b.x, 256, 2, stride=2, padding=0))
    grown = b.add(ir.Upsample("bilinear", (2.0, 2.0)), [low], (1, 256, 56, 56))
    joined = b.add(ir.Concat(1), [grown, b.x], (1, 320, 56, 56))
    b.conv(joined, 64, 1, bias=True, line=7)
    (finding,) = findings(b.graph(), CODE)
    assert finding.message == (
        "1x1 conv 320->64 at 56x56 reads 256 channels of bilinear upsampling from 28x28: convolved "
        "before they grow and added, they give the same"
    )
    assert finding.instead.splitlines() == [
        "x = conv_rest(rest)  # nn.Conv2d(64, 64, 1)",
        'x = x + F.interpolate(conv_a(a), scale_factor=2, mode="bilinear")'
        "  # nn.Conv2d(256, 64, 1, bias=False)",
        "# the old weight w, cut: conv_rest w[:, 256:320]; conv_a w[:, 0:256]",
    ]


def _lint(build, codes=(CODE,)):
    stubs.install()
    smp = pytest.importorskip("segmentation_models_pytorch")
    model = build(smp).eval()
    return convlint.lint(model, torch.zeros(1, 3, 512, 512), select=codes)


def test_pyramid_pooling_on_a_small_encoder():
    """PSPNet: four pooled branches of 10 channels into 512 at 64x64."""
    build = lambda smp: smp.PSPNet("efficientnet-b0", encoder_weights=None, classes=19)  # noqa: E731
    report = _lint(build)
    (finding,) = report.findings
    assert finding.saving.macs == 10 * 512 * (4 * 64 * 64 - 1 - 4 - 9 - 36)
    assert finding.saving.macs_percent == 5.75  # of 1454.7 M; 526.4 M are decoder and head alone
    assert finding.severity == "info"
    assert report.totals.macs - report.after.exact.macs == finding.saving.macs


def test_the_head_of_segformer_runs_at_the_lowest_resolutions():
    """Three of four scales of 256 channels, fused at 128x128."""
    build = lambda smp: smp.Segformer("mit_b0", encoder_weights=None, classes=19)  # noqa: E731
    (finding,) = _lint(build).findings
    assert finding.severity == "warning"
    assert finding.saving.macs == 256 * 256 * (3 * 128**2 - 64**2 - 32**2 - 16**2)
