"""CL102: taps that only read padding are cut out, and nothing changes at that size."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convlint
from convlint.checking import ActiveRule, check_model
from convlint.ir import nodes as ir
from convlint.wire import Reply
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings, reasons, rule
from tests.zoo import graph_of

CODE = "CL102"


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation", "kept"),
    [
        ((28, 28), 3, 1, 36, 36, (1, 1)),
        ((1, 1), 3, 1, 1, 1, (1, 1)),
        ((2, 2), 3, 2, 1, 1, (2, 2)),
        ((2, 2), 5, 1, 2, 1, (3, 3)),
        ((1, 9), 3, 1, 1, 1, (1, 3)),
        ((4, 4), 7, 1, 9, 3, (3, 3)),
        ((3,), 9, 1, 4, 1, (5,)),
        ((1, 4, 4), 3, 1, 1, 1, (1, 3, 3)),
    ],
)
def test_saves_the_share_of_the_dead_taps(size, kernel, stride, padding, dilation, kept):
    """1 - (taps kept / taps) of MACs and weights, on one, two and three axes."""
    b = Builder(1, 8, *size)
    y = b.conv(b.x, 6, kernel, stride=stride, padding=padding, dilation=dilation)
    positions = torch.Size(b.shape(y)[2:]).numel()
    (finding,) = findings(b.graph(), CODE)
    taps, left = kernel ** len(size), torch.Size(kept).numel()
    assert finding.saving.params == 8 * 6 * (taps - left)
    assert finding.saving.macs == positions * 8 * 6 * (taps - left)
    assert finding.severity == "warning"
    assert "1x8x" in finding.message


def test_mostly_padding_is_information():
    """Dilation 24 on 28x28: every tap reads data, 18 % of the products do; nothing is claimed."""
    b = Builder(1, 8, 28, 28)
    b.conv(b.x, 8, 3, dilation=24, padding=24)
    (finding,) = findings(b.graph(), CODE)
    assert finding.severity == "info"
    assert "18%" in finding.message
    assert finding.saving.macs == finding.saving.params == 0
    wide = Builder(1, 8, 28, 28)
    wide.conv(wide.x, 8, 3, dilation=12, padding=12)
    assert findings(wide.graph(), CODE) == ()
    asked = rule(CODE).options(min_valid_share=0.55)
    assert len(findings(wide.graph(), CODE, options=asked)) == 1


def test_the_share_of_products_with_data_is_the_true_one():
    """Counted by a conv of ones over a map of ones, against the share in the words."""
    b = Builder(1, 4, 9, 7)
    b.conv(b.x, 4, (3, 5), dilation=(8, 3), padding=(8, 6), stride=(1, 2))
    (finding,) = findings(b.graph(), CODE)
    ones = torch.ones(1, 1, 9, 7)
    y = F.conv2d(ones, torch.ones(1, 1, 3, 5), None, (1, 2), (8, 6), (8, 3))
    assert f"only {float(y.mean()) / 15:.0%} of" in finding.message


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), size=st.integers(1, 5), k=st.integers(1, 5), stride=st.integers(1, 3),
    padding=st.integers(0, 5), dilation=st.integers(1, 5), groups=st.sampled_from([1, 2]),
    bias=st.booleans(), norm=st.booleans(), batch=st.integers(1, 2),
)  # fmt: skip
def test_any_conv_keeps_its_outputs(
    axes, size, k, stride, padding, dilation, groups, bias, norm, batch
):
    """Wherever it fires: strides, odd maps, even kernels, negative paddings, groups."""
    assume(size + 2 * padding > dilation * (k - 1))
    conv = getattr(nn, f"Conv{axes}d")(4, 6, k, stride, padding, dilation, groups=groups, bias=bias)
    model = nn.Sequential(conv, getattr(nn, f"BatchNorm{axes}d")(6) if norm else nn.ReLU())
    x = torch.randn(batch, 4, *(size,) * axes)
    model, x = scrambled(model).double(), x.double()
    made = convlint.apply(model, x, rules=(CODE,))
    assert made.refused == ()
    assert bool(made.changes) == _dead(conv, x)
    if not made.changes:
        return
    with torch.no_grad():
        expected, found = model(x), made.module(x)
    assert float((expected - found).abs().max()) <= 1e-9 * float(expected.abs().max())
    again = convlint.lint(made.module, x, select=(CODE,))
    promised = made.report.after.exact
    assert (again.totals.macs, again.totals.params) == (promised.macs, promised.params)
    assert {finding.severity for finding in again.findings} <= {"info"}


def _dead(conv, x):
    """Tell from torch whether the outermost live taps leave some out, or every second one does."""
    axis = torch.ones(1, 1, x.shape[-1])
    live = []
    for tap in range(conv.kernel_size[-1]):
        kernel = torch.zeros(1, 1, conv.kernel_size[-1])
        kernel[..., tap] = 1
        y = F.conv1d(axis, kernel, None, conv.stride[-1], conv.padding[-1], conv.dilation[-1])
        if y.any():
            live.append(tap)
    if not live:
        return False
    steps = {b - a for a, b in itertools.pairwise(live)}
    even = len(live) > 1 and len(steps) == 1
    return len(live) < conv.kernel_size[-1] and (len(live) == 1 or even or live[-1] - live[0] + 1 < conv.kernel_size[-1])  # fmt: skip


def test_taps_that_alternate():
    """With stride 2 every second tap may miss a map of one position: what is left is dilated."""
    model = nn.Conv1d(3, 4, 5, stride=2, padding=4)
    made = applied(model, CODE, torch.randn(1, 3, 1))
    assert len(made.changes) == 1


def test_padding_that_becomes_a_crop():
    """The first live tap starts inside the map: its padding is negative."""
    made = applied(nn.Conv1d(3, 4, 2, stride=4, padding=3, dilation=4), CODE, torch.randn(1, 3, 2))
    assert len(made.changes) == 1


def test_functional_and_shared_convs():
    """A bare parameter is cropped as well; calls that need the same taps share what is left."""

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(4, 3, 3, 3))

        def forward(self, x):
            return F.conv2d(x, self.w, padding=1)

    assert len(applied(Functional(), CODE, torch.randn(1, 3, 1, 1)).changes) == 1

    class Twice(nn.Module):
        def __init__(self, grown):
            super().__init__()
            self.conv, self.grown = nn.Conv2d(4, 4, 3, padding=1), grown

        def forward(self, x):
            y = F.interpolate(x, scale_factor=2) if self.grown else torch.relu(x)
            return self.conv(x), self.conv(y)

    x = torch.randn(1, 4, 1, 1)
    made = applied(Twice(False), CODE, x)
    assert sum(p.numel() for p in made.module.parameters()) == 4 * 4 + 4
    assert refused(Twice(True), CODE, x) == ["conv uses the same weight where other taps live"]


def test_borders_that_are_data_are_refused():
    """Replicated borders reach every tap: without them the result is another."""
    conv = scrambled(nn.Conv2d(2, 2, 3, padding=1, padding_mode="replicate"))
    x = torch.randn(1, 2, 1, 1)
    assert refused(conv, CODE, x) == ["its padding is replicate: every tap reads data"]
    cut = F.conv2d(x, conv.weight[:, :, 1:2, 1:2], conv.bias)
    assert not torch.allclose(conv(x), cut, atol=1e-3)
    reflected = nn.Conv2d(2, 2, 3, padding=12, dilation=12, padding_mode="reflect")
    assert fires(reflected, CODE, torch.randn(1, 2, 13, 13)) == 0


def test_at_another_size_the_crop_would_be_wrong():
    """Exact at the traced size alone, and said so."""
    conv = scrambled(nn.Conv2d(2, 2, 3, padding=1))
    assert fires(conv, CODE, torch.randn(1, 2, 1, 1)) == 1
    x = torch.randn(1, 2, 4, 4)
    assert fires(conv, CODE, x) == 0
    cut = F.conv2d(x, conv.weight[:, :, 1:2, 1:2], conv.bias)
    assert not torch.allclose(conv(x), cut, atol=1e-3)
    assert rule(CODE).meta.at_size


def test_other_refusals():
    """Transposed and computed kernels, and layers that read no data at all, say why."""
    up = nn.ConvTranspose2d(2, 2, 5, padding=2)
    assert refused(up, CODE, torch.randn(1, 2, 1, 1)) == [
        "it is transposed: its dead taps lie in what is cut off its result"
    ]
    blind = nn.Conv1d(2, 2, 2, padding=5, dilation=10)
    assert refused(blind, CODE, torch.randn(1, 2, 2)) == [
        "no tap ever reads data: its result is its bias"
    ]

    class Computed(nn.Module):
        def forward(self, x):
            return F.conv2d(x, x.mean().expand(4, 2, 3, 3), padding=1)

    assert refused(Computed(), CODE, torch.randn(1, 2, 1, 1)) == [
        "its kernel is computed in forward"
    ]


def _report(name, size, **options):
    graph = graph_of(name, 1, 3, size, size, **options)
    one = rule(CODE)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    return check_model(reply, (ActiveRule(one, one.meta.severity, one.options()),))


@pytest.mark.parametrize(
    ("name", "size", "macs", "percent"),
    [
        ("deeplabv3_resnet50", 224, 3.288e9, None),
        ("resnet18", 32, None, 18.5),
        ("resnet50", 32, None, 6.4),
        ("squeezenet1_1", 32, None, 11.7),
        ("efficientnet_b0", 32, None, 2.3),
        ("densenet121", 32, None, 0.9),
    ],
)
def test_known_models(name, size, macs, percent):
    """What a scan of these models found."""
    found = _report(name, size, **({"weights_backbone": None} if "deeplab" in name else {}))
    saving = sum(finding.saving.macs for finding in found.findings)
    if macs is not None:
        assert saving == pytest.approx(macs, rel=0.001)
    else:
        assert 100 * saving / found.totals.macs == pytest.approx(percent, abs=0.06)


def test_deeplab_at_its_own_size_is_silent():
    """65x65 maps at 520 pixels: dilation 36 reads data with 40 % of its products."""
    assert _report("deeplabv3_resnet50", 520, weights_backbone=None).findings == ()


def test_deeplab_at_224_tells_of_24_too():
    """Dilation 36 has dead taps, 24 reads 18 %, 12 is left alone."""
    found = _report("deeplabv3_resnet50", 224, weights_backbone=None).findings
    told = {finding.modules: (finding.severity, finding.saving.macs > 0) for finding in found}
    assert told == {
        ("classifier.0.convs.3.0",): ("warning", True),
        ("classifier.0.convs.2.0",): ("info", False),
    }


def test_convs_of_one_line_are_one_finding():
    """A loop over dilations: the dead one is worded and counted, the others are told beside it."""
    b = Builder(1, 8, 28, 28)
    for rate in (12, 24, 36):
        b.conv(b.x, 8, 3, dilation=rate, module=f"convs.{rate}", line=7)
    (finding,) = findings(b.graph(), CODE)
    assert finding.modules == ("convs.24", "convs.36")
    assert finding.severity == "warning"
    assert finding.saving.macs == 28 * 28 * 8 * 8 * 8
    assert "1 more read data with 18% of their products" in finding.message


def test_reasons_name_the_places():
    """A refusal on a hand-built graph: the weight is shared with a larger map."""
    b = Builder(1, 4, 1, 1)
    b.conv(b.x, 4, module="conv")
    big = b.add(ir.Expand(), [b.x], (1, 4, 8, 8))
    b.conv(big, 4, module="conv")
    assert reasons(b.graph(), CODE) == ["conv uses the same weight where other taps live"]
