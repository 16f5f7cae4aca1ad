"""CL423: upsampled maps added before they grow."""

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
from tests.rules.proving import applied, fires, refused
from tests.rules.runs import findings

CODE = "CL423"


class Pyramid(nn.Module):
    """Maps of several sizes, then a function of them."""

    def __init__(self, fuse, sizes, axes=2):
        super().__init__()
        self.convs = nn.ModuleList(getattr(nn, f"Conv{axes}d")(2, 3, 1) for _ in sizes)
        self.fuse, self.sizes = fuse, sizes

    def forward(self, x):
        pooled = [F.interpolate(x, size=size, mode="nearest") for size in self.sizes]
        return self.fuse(*[torch.tanh(conv(y)) for conv, y in zip(self.convs, pooled, strict=True)])


def up(x, scale, mode="nearest", **options):
    return F.interpolate(x, scale_factor=scale, mode=mode, **options)


def _fuse(b, scales):
    high = b.conv(b.x, 4, 1)
    total = high
    for scale in scales:
        low = b.conv(b.x, 4, scale, stride=scale, padding=0)
        grown = b.add(ir.Upsample("nearest", (scale, scale)), [low], (1, 4, 32, 32))
        total = b.sum(total, grown)
    return b.graph()


def test_a_coarser_map_is_written_at_the_size_of_the_finer_one():
    """a + up2(b) + up4(c): up4 becomes up2, one of the two additions is made at half the size."""
    b = Builder(1, 3, 32, 32)
    (finding,) = findings(_fuse(b, (2, 4)), CODE)
    whole, half = 4 * 4 * 32 * 32, 4 * 4 * 16 * 16
    saved = finding.saving
    assert saved.activation_bytes == 2 * (whole - half)
    assert saved.bytes_read == 2 * (whole - half)
    assert (saved.macs, saved.params, saved.kernels) == (0, 0, 0)


def test_two_maps_of_one_size_need_one_interpolation():
    """a + up2(b) + up2(c): one map less, one kernel less."""
    b = Builder(1, 3, 32, 32)
    (finding,) = findings(_fuse(b, (2, 2)), CODE)
    whole, half = 4 * 4 * 32 * 32, 4 * 4 * 16 * 16
    assert finding.saving.activation_bytes == 2 * whole - half
    assert finding.saving.kernels == 1


FIRES = {
    "nearest 2 and 4": ([(8, 8), (4, 4), (2, 2)], lambda a, b, c: a + up(b, 2) + up(c, 4)),
    "right to left": ([(8, 8), (4, 4), (2, 2)], lambda a, b, c: up(c, 4) + (up(b, 2) + a)),
    "no high term": ([(4, 4), (2, 2)], lambda a, b: up(a, 2) + up(b, 4)),
    "three": ([(4, 4), (2, 2), (1, 1)], lambda a, b, c: up(a, 2) + up(b, 4) + up(c, 8)),
    "sum": ([(8, 8), (4, 4), (4, 4)], lambda a, b, c: sum([a, up(b, 2), up(c, 2)])),
    "stack": (
        [(4, 4), (8, 8), (4, 4)],
        lambda a, b, c: torch.stack([up(a, 2), b, up(c, 2)]).sum(0),
    ),
    "stack and chain": (
        [(4, 4), (8, 8), (2, 2)],
        lambda a, b, c: torch.stack([up(a, 2), b], 1).sum(dim=1) + up(c, 4),
    ),
    "in place": ([(8, 8), (4, 4), (4, 4)], lambda a, b, c: a.clone().add_(up(b, 2)).add_(up(c, 2))),
    "exact": (
        [(4, 4), (2, 2)],
        lambda a, b: up(a, 2, "nearest-exact") + up(b, 4, "nearest-exact"),
    ),
    "one axis": ([(4, 8), (2, 8)], lambda a, b: up(a, (2, 1)) + up(b, (4, 1))),
    "any factor, one size": (
        [(3, 5), (3, 5)],
        lambda a, b: F.interpolate(a, (7, 13)) + F.interpolate(b, (7, 13)),
    ),
    **{
        mode: ([(3, 5), (3, 5)], lambda a, b, mode=mode: up(a, 2, mode) + up(b, 2, mode))
        for mode in ("bilinear", "bicubic", "area")
    },
    "corners": (
        [(3, 5), (3, 5)],
        lambda a, b: (
            up(a, 3, "bilinear", align_corners=True) + up(b, 3, "bilinear", align_corners=True)
        ),
    ),
    "two ways": (
        [(4, 4)] * 4,
        lambda a, b, c, d: up(a, 2) + up(b, 2, "bilinear") + up(c, 2) + up(d, 2, "bilinear"),
    ),
}


@pytest.mark.parametrize("name", FIRES)
def test_sums_that_can_be_taken_lower(name):
    """Every spelling of the sum, every interpolation that is linear."""
    sizes, fuse = FIRES[name]
    made = applied(Pyramid(fuse, sizes), CODE, torch.randn(2, 2, 8, 8))
    assert len(made.changes) == 1
    before, after = made.report.totals, made.report.after.exact
    assert after.activation_bytes < before.activation_bytes
    assert after.bytes_read < before.bytes_read


@pytest.mark.parametrize("axes", [1, 3])
def test_signals_and_volumes(axes):
    """The modes of one and three axes."""
    mode = {1: "linear", 3: "trilinear"}[axes]
    model = Pyramid(lambda a, b: up(a, 2, mode) + up(b, 2, mode), [(3,) * axes] * 2, axes)
    assert len(applied(model, CODE, torch.randn(1, 2, *(4,) * axes)).changes) == 1


REFUSED = {
    "nested bilinear": (
        [(4, 4), (2, 2)],
        lambda a, b: up(a, 2, "bilinear") + up(b, 4, "bilinear"),
        "interpolating in steps is another function: bilinear from 2x2, bilinear from 4x4",
    ),
    "mixed modes": (
        [(4, 4), (4, 4)],
        lambda a, b: up(a, 2) + up(b, 2, "bilinear"),
        "interpolating in steps is another function: bilinear from 4x4, nearest from 4x4",
    ),
    "a factor of 3": (
        [(4, 4), (2, 2)],
        lambda a, b: up(a, 3) + up(b, 6),
        "interpolating in steps is another function: nearest from 2x2, nearest from 4x4",
    ),
    "tapped": (
        [(4, 4), (4, 4)],
        lambda a, b: (lambda y: (y, y + up(b, 2)))(up(a, 2)),
        "the upsampled terms have other readers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_sums_that_are_left_alone(name):
    """Each with its reason."""
    sizes, fuse, reason = REFUSED[name]
    model, x = Pyramid(fuse, sizes), torch.randn(1, 2, 8, 8)
    assert fires(model, CODE, x) == 0
    assert refused(model, CODE, x) == [reason]


def test_bilinear_in_two_steps_is_another_function():
    """What the refusal says, in numbers."""
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    twice = up(up(x, 2, "bilinear"), 2, "bilinear")
    assert float((twice - up(x, 4, "bilinear")).abs().max()) > 0.1


@pytest.mark.parametrize(
    "fuse",
    [
        lambda a, b: a + up(torch.relu(b), 2),
        lambda a, b: a * up(b, 2) + torch.relu(up(b + 1, 2)),
        lambda a, b: torch.relu(up(b, 2)) + torch.relu(up(b + 1, 2)),
        lambda a, b: a - up(b, 2) - up(b + 1, 2),
        lambda a, b: F.interpolate(a, (2, 2)) + F.interpolate(b, (2, 2)),
    ],
)
def test_no_sum_of_upsampled_maps(fuse):
    """One term alone, products, activations on the way, differences, maps that shrink."""
    assert fires(Pyramid(fuse, [(8, 8), (4, 4)]), CODE, torch.randn(1, 2, 8, 8)) == 0


def test_a_broadcast_term_stays_out_of_the_sum():
    """The sum of a map and a vector is no sum of equal shapes."""
    model = Pyramid(lambda a, b: (up(a, 2) + b) + up(a + 1, 2), [(4, 4), (1, 1)])
    assert fires(model, CODE, torch.randn(1, 2, 8, 8)) == 0


@settings(max_examples=12, deadline=None)
@given(
    scales=st.lists(st.sampled_from([1, 2, 4, 8]), min_size=2, max_size=6),
    modes=st.lists(st.sampled_from(["nearest", "nearest-exact", "bilinear"]), min_size=6, max_size=6),
    tree=st.booleans(), sizes=st.tuples(st.integers(1, 2), st.integers(1, 3)),
)  # fmt: skip
def test_any_sum_keeps_its_value(scales, modes, tree, sizes):
    """Chains and trees of terms of any scale and mode."""
    height, width = 8 * sizes[0], 8 * sizes[1]

    def fuse(*maps):
        terms = [
            y if scale == 1 else up(y, scale, mode)
            for y, scale, mode in zip(maps, scales, modes, strict=False)
        ]
        while len(terms) > 1:
            terms = [*terms[2:], terms[0] + terms[1]] if tree else [terms[0] + terms[1], *terms[2:]]
        return terms[0]

    model = Pyramid(fuse, [(height // s, width // s) for s in scales])
    made = applied(model, CODE, torch.randn(1, 2, height, width))
    assert made.report.after.exact.activation_bytes <= made.report.totals.activation_bytes


def test_hrnet():
    """The fuse layers of stages 3 and 4 add two and three upsampled maps."""
    stubs.install()
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        model = timm.create_model("hrnet_w18")
    report = convlint.lint(model, torch.zeros(1, 3, 64, 64), select=(CODE,))
    assert sum(finding.sites for finding in report.findings) == 10
    assert report.after.exact.macs == report.totals.macs
    assert report.after.exact.bytes_read < report.totals.bytes_read


def test_smp_fpn():
    """Its decoder stacks three maps that were upsampled alike, and a fourth, and sums them."""
    stubs.install()
    smp = pytest.importorskip("segmentation_models_pytorch")
    with torch.device("meta"):
        model = smp.FPN("resnet18", encoder_weights=None)
    report = convlint.lint(model, torch.zeros(1, 3, 64, 64), select=(CODE,))
    (finding,) = report.findings
    assert finding.message.startswith("3 upsampled maps are added at 1x128x16x16")


def test_factors_that_torch_keeps_are_no_powers_of_two():
    """8.3 times 3 is 24 positions, 8 times as many, but not those that doublings give."""
    sizes = [(3, 3), (6, 6), (12, 12)]
    net = Pyramid(lambda a, b, c: up(a, 8.3) + up(b, 4) + up(c, 2), sizes)
    made = applied(net, CODE, torch.randn(1, 2, 24, 24))
    factors = [node.kwargs.get("scale_factor") for node in made.module.graph.nodes]
    assert len(made.changes) == 1
    assert 8.3 in factors


def test_the_code_tells_a_size_where_no_factor_gives_it():
    """65 of 33: the size that the layer writes."""
    net = Pyramid(lambda a, b: up_to(a, (65, 65)) + up_to(b, (65, 65)), [(33, 33), (33, 33)])
    (finding,) = convlint.lint(net.eval(), torch.randn(1, 2, 65, 65), select=(CODE,)).findings
    assert "up = nn.Upsample(size=(65, 65), mode='bilinear')" in finding.instead


def up_to(x, size):
    return F.interpolate(x, size=size, mode="bilinear")
