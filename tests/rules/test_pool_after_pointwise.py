"""CL401: a 1x1 conv and the average after it change places."""

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

CODE = "CL401"
BIAS = "its bias is another one after the average: "


class Then(nn.Module):
    """A layer, then a function of its result; a function of the input before it."""

    def __init__(self, layer, after, before=lambda x: x):
        super().__init__()
        self.layer, self.after, self.before = layer, after, before
        self.is_module = isinstance(after, nn.Module)

    def forward(self, x):
        return self.after(self.layer(self.before(x)))


@pytest.mark.parametrize(("k", "groups"), [(2, 1), (4, 1), (2, 4), (7, 1)])
def test_saves_the_share_of_positions_that_the_pool_drops(k, groups):
    """MACs x (1 - HoWo/HW); bytes 2 x (Cout HW - Cin HoWo) x 4, no parameters."""
    b = Builder(1, 64, 28, 28)
    conv = b.conv(b.x, 48, 1, groups=groups)
    b.add(ir.Pool("avg", (k, k), (k, k), (0, 0)), [conv], (1, 48, 28 // k, 28 // k))
    (finding,) = findings(b.graph(), CODE)
    before, after = 28 * 28, (28 // k) ** 2
    assert finding.saving.macs == 64 * 48 // groups * (before - after)
    assert finding.saving.params == 0
    moved = finding.saving.activation_bytes + finding.saving.bytes_read
    assert moved == 2 * 4 * (48 * before - 64 * after)


AVERAGES = {
    "pool 2": nn.AvgPool2d(2),
    "pool 3 stride 2": nn.AvgPool2d(3, 2),
    "ceil": nn.AvgPool2d(2, ceil_mode=True),
    "ceil, overlapping": nn.AvgPool2d(3, 2, ceil_mode=True),
    "padding not counted": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "both": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "global": nn.AdaptiveAvgPool2d(1),
    "adaptive, uneven": nn.AdaptiveAvgPool2d((3, 2)),
    "one axis": nn.AdaptiveAvgPool2d((None, 1)),
    "functional": lambda x: F.avg_pool2d(x, 2, 2, 0),
    "mean": lambda x: x.mean((2, 3)),
    "mean kept": lambda x: x.mean((-2, -1), keepdim=True),
    "mean of one axis": lambda x: x.mean(3),
    "flattened": lambda x: x.flatten(2).mean(2),
    "viewed": lambda x: x.view(*x.shape[:2], -1).mean(-1, keepdim=True),
    "bilinear": lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear"),
    "antialias": lambda x: F.interpolate(x, size=(4, 3), mode="bilinear", antialias=True),
    "corners": lambda x: F.interpolate(x, size=(4, 3), mode="bilinear", align_corners=True),
    "bicubic": lambda x: F.interpolate(x, scale_factor=0.4, mode="bicubic"),
    "area": lambda x: F.interpolate(x, size=(4, 3), mode="area"),
    "nearest": lambda x: F.interpolate(x, size=(4, 3)),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_every_spelling_of_an_average(name):
    """With a bias and a norm in between, on a map whose sizes do not divide."""
    layer = nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6), nn.Dropout())
    made = applied(Then(layer, AVERAGES[name]), CODE, torch.randn(2, 4, 9, 7))
    assert [change.code for change in made.changes] == [CODE]
    assert made.report.after.exact.macs < made.report.totals.macs


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), cin=st.sampled_from([2, 4, 6]), cout=st.sampled_from([2, 4, 8]),
    groups=st.sampled_from([1, 2]), bias=st.booleans(), norm=st.booleans(),
    k=st.integers(2, 3), stride=st.integers(1, 3), padding=st.integers(0, 1),
    ceil=st.booleans(), include=st.booleans(), size=st.integers(3, 8), batch=st.integers(1, 2),
)  # fmt: skip
def test_any_pool_keeps_its_outputs(
    axes, cin, cout, groups, bias, norm, k, stride, padding, ceil, include, size, batch
):
    """Wherever it fires, borders and random statistics included."""
    pool = getattr(nn, f"AvgPool{axes}d")(k, stride, padding, ceil, include)
    conv = getattr(nn, f"Conv{axes}d")(cin, cout, 1, groups=groups, bias=bias)
    layer = nn.Sequential(conv, getattr(nn, f"BatchNorm{axes}d")(cout)) if norm else conv
    x = torch.randn(batch, cin, *(size + place for place in range(axes)))
    model = Then(layer, pool)
    with torch.no_grad():
        shrinks = model.eval()(x)[0, 0].numel() < x[0, 0].numel()
    shifts = (bias or norm) and padding and include
    if not shrinks:
        assert fires(model, CODE, x) == 0
    elif shifts:
        assert fires(model, CODE, x) == 0
        assert "counts its padding of 1 as zeros" in refused(model, CODE, x)[0]
    else:
        made = applied(model, CODE, x)
        reason = refused(model, CODE, x.double())  # applied made it so
        assert len(made.changes) == 1 or "would" in reason[0]


@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d(2, divisor_override=3),
        lambda x: F.avg_pool2d(x, 2, divisor_override=3),
        lambda x: x.sum((2, 3)),
    ],
)
def test_without_a_constant_any_weights_are_free(pool):
    """No bias and no norm: a padding that counts, a divisor, a sum are linear all the same."""
    made = applied(Then(nn.Conv2d(4, 6, 1, bias=False), pool), CODE, torch.randn(1, 4, 8, 8))
    assert len(made.changes) == 1


REFUSED = {
    "counted padding": (nn.AvgPool2d(3, 2, 1), BIAS + "the pool counts its padding of 1 as zeros"),
    "divisor": (nn.AvgPool2d(2, divisor_override=3), BIAS + "the pool divides by 3 whatever it sums"),
    "sum": (lambda x: x.sum((2, 3)), BIAS + "a sum adds it once for every position"),
    "relu": (lambda x: F.avg_pool2d(F.relu(x), 2), "relu stands between"),
    "square": (lambda x: F.avg_pool2d(x**2, 2), "pow stands between"),
    "tapped": (lambda x: (x, F.avg_pool2d(x, 2)), "its result has other readers"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_places_that_are_left_alone(name):
    """Each with its reason, and with the difference that the other order would make."""
    after, reason = REFUSED[name]
    conv = nn.Conv2d(4, 6, 1)
    model, x = scrambled(Then(conv, after)), torch.randn(1, 4, 8, 8)
    assert fires(model, CODE, x) == 0
    assert refused(model, CODE, x) == [reason]
    if name != "tapped":
        pooled = after(x)
        other = conv(pooled[..., None, None]).flatten(1) if pooled.dim() == 2 else conv(pooled)
        expected = model(x).detach()
        assert float((other.detach() - expected).abs().max()) > 0.05 * float(expected.abs().max())


def test_a_norm_counts_as_a_constant():
    """Without a bias the norm's shift meets the zeros of the padding."""
    layer = nn.Sequential(nn.Conv2d(4, 6, 1, bias=False), nn.BatchNorm2d(6))
    model, x = Then(layer, nn.AvgPool2d(3, 2, 1)), torch.randn(1, 4, 8, 8)
    assert refused(model, CODE, x) == [
        "the norm is another one after the average: the pool counts its padding of 1 as zeros"
    ]


def test_a_computed_weight_is_left_alone():
    """A kernel that forward makes of the input is nobody's to move."""

    class Dynamic(nn.Module):
        def forward(self, x):
            return F.avg_pool2d(F.conv2d(x, torch.tanh(x[:1, :, :1, :1]).expand(4, 4, 1, 1)), 2)

    assert refused(Dynamic(), CODE, torch.randn(1, 4, 8, 8)) == [
        "its weight is computed in forward"
    ]


def test_pooling_many_channels_to_save_few_products_does_not_pay():
    """512 -> 1 channels and 2x2: the pool grows by more than the conv shrinks."""
    b = Builder(1, 512, 32, 32)
    conv = b.conv(b.x, 1, 1)
    b.add(ir.Pool("avg", (2, 2), (2, 2), (0, 0)), [conv], (1, 1, 16, 16))
    assert "more other operations" in reasons(b.graph(), CODE)[0]


def test_bytes_that_outweigh_the_products_are_refused_with_both():
    """512 -> 8 at 2x2: 3.2 MACs for each byte that is moved more, under 4."""
    b = Builder(1, 512, 32, 32)
    conv = b.conv(b.x, 8, 1)
    b.add(ir.Pool("avg", (2, 2), (2, 2), (0, 0)), [conv], (1, 8, 16, 16))
    more = 2 * 4 * (512 * 256 - 8 * 1024)
    assert reasons(b.graph(), CODE) == [
        f"it would move {more:,} bytes more and save 3.2 MACs for each, under 4"
    ]


@pytest.mark.parametrize(
    "model",
    [
        Then(nn.Conv2d(4, 6, 3, padding=1), nn.AvgPool2d(2)),
        Then(nn.Conv2d(4, 6, 1, stride=2), nn.AvgPool2d(2)),
        Then(nn.Conv2d(4, 6, 1, padding=1), nn.AvgPool2d(2)),
        Then(nn.ConvTranspose2d(4, 6, 1), nn.AvgPool2d(2)),
        Then(nn.Conv2d(4, 6, 1), nn.MaxPool2d(2)),
        Then(nn.Conv2d(4, 6, 1), nn.AdaptiveMaxPool2d(1)),
        Then(nn.Conv2d(4, 6, 1), nn.LPPool2d(2, 2)),
        Then(nn.Conv2d(4, 6, 1), nn.AvgPool2d(3, 1, 1)),
        Then(nn.Conv2d(4, 6, 1), lambda x: x.amax((2, 3))),
        Then(nn.Conv2d(4, 6, 1), lambda x: x.mean((1, 2))),
        Then(nn.Conv2d(4, 6, 1), lambda x: F.interpolate(x, scale_factor=2.0)),
        Then(nn.Sequential(nn.Conv2d(4, 6, 1), nn.GroupNorm(2, 6)), nn.AvgPool2d(2)),
        Then(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 6, 1)), nn.ReLU()),
    ],
)
def test_what_is_no_place_at_all(model):
    """Other kernels, other pools, other norms, maps that do not shrink, the right order."""
    assert fires(model, CODE, torch.randn(1, 4, 8, 8)) == 0
    assert refused(model, CODE, torch.randn(1, 4, 8, 8)) == []


def test_nearest_neighbours_let_an_activation_pass():
    """Positions that are only picked may be picked first, whatever stands between."""
    model = Then(nn.Conv2d(4, 6, 1), lambda x: F.interpolate(F.silu(x), scale_factor=0.5))
    assert len(applied(model, CODE, torch.randn(1, 4, 8, 8)).changes) == 1


@pytest.mark.parametrize("dim", [1, (1, 2), (0, 1)])
@pytest.mark.parametrize("keep", [False, True])
def test_linear_layers_whose_rows_are_averaged(dim, keep):
    """A classifier on every token, its scores averaged."""
    model = Then(nn.Sequential(nn.Linear(6, 8), nn.Dropout()), lambda x: x.mean(dim, keepdim=keep))
    made = applied(model, CODE, torch.randn(2, 5, 4, 6))
    assert len(made.changes) == 1
    assert fires(Then(nn.Linear(6, 8), lambda x: x.mean(-1)), CODE, torch.randn(2, 5, 6)) == 0


def test_a_functional_conv_a_shared_one_and_a_chain_of_pools():
    """F.conv2d moves with its weight; two calls of one conv move both; every pool is passed."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(6, 4, 1, 1))
            self.shared = nn.Conv2d(6, 6, 1)

        def forward(self, x):
            x = torch.tanh(F.avg_pool2d(F.conv2d(x, self.w), 2))
            a = F.avg_pool2d(F.avg_pool2d(self.shared(x), 2), 2)
            return a, self.shared(torch.tanh(x)).mean((2, 3))

    made = applied(Net(), CODE, torch.randn(1, 4, 16, 16))
    assert len(made.changes) == 4
    assert made.report.after.exact.macs == 24 * 64 + 36 * 4 + 36


def test_the_words_of_a_transition():
    """The sizes, the order to write, and what becomes of checkpoints."""
    b = Builder(1, 256, 56, 56)
    conv = b.conv(b.x, 128, 1, line=7)
    b.add(ir.Pool("avg", (2, 2), (2, 2), (0, 0)), [conv], (1, 128, 28, 28))
    (finding,) = findings(b.graph(), CODE)
    assert finding.message == (
        "1x1 conv 256->128 runs on 56x56, then the 2x2 average pool keeps 28x28: averaged first, "
        "it runs on 784 positions in place of 3136, and the result is the same"
    )
    assert finding.instead.splitlines() == [
        "x = pool(x)  # nn.AvgPool2d(2)",
        "x = conv(x)  # nn.Conv2d(256, 128, 1, bias=False)",
    ]


def _zoo(name, *shape):
    stubs.install()
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        options = {"init_weights": False} if name == "googlenet" else {}
        model = torchvision.models.get_model(name, weights=None, **options)
    return convlint.lint(model, torch.zeros(*shape or (1, 3, 224, 224)), select=(CODE,))


@pytest.mark.parametrize(
    ("name", "channels", "percent"),
    [
        ("densenet121", (256, 512, 1024), 8.16),
        ("densenet161", (384, 768, 2112), 8.73),
        ("densenet169", (256, 512, 1280), 8.17),
        ("densenet201", (256, 512, 1792), 9.09),
    ],
)
def test_densenets_pool_after_their_transitions(name, channels, percent):
    """Three transitions that halve their channels, at 56, 28 and 14: 3/4 of each is saved."""
    report = _zoo(name)
    assert sum(finding.sites for finding in report.findings) == 3
    sizes = zip(channels, (56, 28, 14), strict=True)
    saved = sum(c * c // 2 * size * size * 3 // 4 for c, size in sizes)
    assert report.totals.macs - report.after.exact.macs == saved
    assert 100 * saved / report.totals.macs == pytest.approx(percent, abs=0.005)


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet", "efficientnet_b0", "maxvit_t"])
def test_models_with_an_activation_between_or_the_pool_first_are_silent(name):
    """The heads bend before they average."""
    assert _zoo(name).findings == ()
