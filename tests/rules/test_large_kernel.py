"""CL101: the dilated and the stacked form cost what the catalogue's formulas say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convlint.checking import ActiveRule, check_model
from convlint.ir import nodes as ir
from convlint.tracing.inline import read_instance
from tests.graphs import Builder
from tests.rules.runs import findings, reasons, rule


def _net(kernel, cin=64, cout=64, size=56, axes=2, **facts):
    b = Builder(1, 3, *(size,) * axes)
    x = b.relu(b.conv(b.x, cin, 1))
    x = b.conv(x, cout, kernel, **facts)
    b.linear(b.add(ir.Reshape(), [b.pool(b.relu(x))], (1, cout)), 10)
    return b.graph()


@pytest.mark.parametrize("k", [5, 7, 9, 11])
@pytest.mark.parametrize("stride", [1, 2])
def test_dilated_form_saves_one_minus_nine_over_k_squared(k, stride):
    """The first rewrite keeps the shape and has 9 taps in place of k2."""
    (finding,) = findings(_net(k, stride=stride), "CL101")
    positions = (56 // stride) ** 2
    assert finding.saving.macs == positions * 64 * 64 * (k * k - 9)
    assert finding.saving.params == 64 * 64 * (k * k - 9)
    assert f"dilation={(k - 1) // 2}" in finding.instead


@pytest.mark.parametrize(
    ("k", "cin", "cout", "share"),
    [
        (5, 64, 64, 0.28),
        (7, 64, 64, 0.45),
        (9, 64, 64, 0.55),
        (5, 64, 192, 0.52),
        (5, 48, 64, 0.37),
    ],
)
def test_stacked_form_saves_the_catalogue_share(k, cin, cout, share):
    """q 3x3 of width min(Cin, Cout): 28, 45, 55 %; 52 % for AlexNet conv2, 37 % for Inception."""
    (finding,) = findings(_net(k, cin, cout), "CL101")
    (stack,) = finding.alternatives
    q, m = (k - 1) // 2, min(cin, cout)
    weights = 9 * (cin * m + (q - 2) * m * m + m * cout)
    assert stack.saving.params == k * k * cin * cout - weights
    assert stack.saving.macs == 56 * 56 * stack.saving.params
    assert stack.saving.params / (k * k * cin * cout) == pytest.approx(share, abs=0.006)


def test_stack_that_is_no_cheaper_is_not_offered():
    """AlexNet's conv2 with width 192 between would cost 44 % more: no alternative."""
    options = rule("CL101").options(mid="out")
    (finding,) = findings(_net(5, 64, 192), "CL101", options)
    assert finding.alternatives == ()


@pytest.mark.parametrize("padding", [0, 1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("k", [5, 7])
def test_every_way_keeps_the_output_shape(k, stride, padding):
    """Whatever the padding, the rewritten graph is valid (a wrong shape would be a CL903)."""
    (finding,) = findings(_net(k, padding=padding, stride=stride), "CL101")
    assert finding.saving.macs > 0


def test_even_kernel_gets_words_and_no_saving():
    """6x6 has no dilated 3x3 of its extent: the next odd field is named, nothing claimed."""
    (finding,) = findings(_net(6, padding=2), "CL101")
    assert (finding.saving.macs, finding.saving.params, finding.alternatives) == (0, 0, ())
    assert "5x5" in finding.message


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"kernel": 7, "cin": 4}, "4 input channels, under 8"),
        ({"kernel": 7, "groups": 64}, "groups=64"),
        ({"kernel": (1, 7)}, "one axis only"),
        ({"kernel": 7, "axes": 1, "size": 4096}, "one axis only"),
        ({"kernel": 8, "stride": 8, "padding": 0}, "patches"),
        ({"kernel": 5, "dilation": 2}, "dilated already"),
        ({"kernel": 5, "size": 8}, "over half of the 8x8 map"),
        ({"kernel": 5, "transposed": True, "padding": 2}, "transposed"),
    ],
)
def test_kernels_that_are_large_for_a_reason(facts, reason):
    """Each exemption of the catalogue is a refusal that names the value."""
    graph = _net(**facts)
    assert findings(graph, "CL101") == ()
    assert any(reason in text for text in reasons(graph, "CL101"))


def test_volumetric_kernel_counts_and_an_axis_of_one_tap_is_ignored():
    """5x5x5 is a finding, and so is 1x5x5, rewritten to 1x3x3."""
    (cube,) = findings(_net(5, 16, 16, size=16, axes=3), "CL101")
    assert cube.saving.params == 16 * 16 * (125 - 27)
    (flat,) = findings(_net((1, 5, 5), 16, 16, size=16, axes=3), "CL101")
    assert flat.saving.params == 16 * 16 * (25 - 9)
    (padded,) = findings(_net((1, 5, 5), 16, 16, size=16, axes=3, padding=(1, 2, 2)), "CL101")
    assert len(padded.alternatives) == 1


def test_stem_seven_by_seven_stays_silent():
    """Three stacked 3x3 in place of an RGB 7x7 cost 3 to 8 times more."""
    b = Builder(1, 3, 224, 224)
    x = b.relu(b.conv(b.x, 64, 7, stride=2))
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 64)), 10)
    assert findings(b.graph(), "CL101") == ()


@pytest.mark.parametrize(("channels", "factor", "count"), [(9, 3, 0), (12, 2, 0), (128, 4, 1)])
def test_the_output_conv_of_sub_pixel_super_resolution_predicts(channels, factor, count):
    """A last conv that a pixel shuffle brings to 4 channels or fewer is left alone (ESPCN)."""
    b = Builder(1, 3, 64, 64)
    x = b.conv(b.relu(b.conv(b.x, 64, 1)), channels, 5)
    b.add(ir.PixelShuffle(factor), [x], (1, channels // factor**2, 64 * factor, 64 * factor))
    assert len(findings(b.graph(), "CL101")) == count
    if not count:
        assert "it is the prediction layer" in reasons(b.graph(), "CL101")


def test_a_pixel_shuffle_beside_another_reader_says_nothing_of_the_output():
    """Where the wide tensor is returned as well, the conv is like any other."""
    b = Builder(1, 3, 64, 64)
    x = b.conv(b.relu(b.conv(b.x, 64, 1)), 9, 5)
    y = b.add(ir.PixelShuffle(3), [x], (1, 1, 192, 192))
    assert len(findings(b.graph(x, y), "CL101")) == 1


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        (("a", "a", "a"), "at 56x56, called 3 times (large from 5)"),
        (("a", "b", "a"), "at 56x56, the largest of 2 called 3 times (large from 5)"),
        (("a", "b", "c"), "at 56x56, the largest of 3 (large from 5)"),
    ],
)
def test_calls_are_no_convs(modules, words):
    """One module called three times is one conv, called three times."""
    b = Builder(1, 3, 56, 56)
    x = b.conv(b.x, 64, 1)
    for module in modules:
        x = b.relu(b.conv(x, 64, 5, module=module, line=7))
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 64)), 10)
    (finding,) = findings(b.graph(), "CL101")
    assert words in finding.message


def test_a_functional_conv_is_told_as_calls():
    """F.conv2d is replaced by calls, not by layers."""

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 32, 3)
            self.w = nn.Parameter(torch.zeros(32, 32, 5, 5))

        def forward(self, x):
            return nn.functional.conv2d(self.stem(x), self.w, padding=2).mean((2, 3))

    reply = read_instance(Functional(), (torch.zeros(1, 3, 64, 64, device="meta"),), {}, target="t")
    one = rule("CL101")
    (finding,) = check_model(reply, (ActiveRule(one, one.meta.severity, one.options()),)).findings
    assert finding.instead.splitlines() == [
        "F.conv2d(x, weight, padding=2, dilation=2)  # weight: 32x32x3x3",
        "# or, reading every position:",
        "x = F.conv2d(x, weight, padding=1)  # weight: 32x32x3x3",
        "x = F.relu(x)",
        "x = F.conv2d(x, weight, padding=1)  # weight: 32x32x3x3",
    ]
