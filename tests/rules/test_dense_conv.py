"""CL301: the savings of the catalogue's formulas, and what must stay silent."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convlint import profiles
from convlint.checking import ActiveRule, check_model
from convlint.contract import Severity
from convlint.ir import nodes as ir
from convlint.tracing.inline import read_instance
from convlint.wire import Reply
from tests.graphs import Builder
from tests.rules.runs import findings, reasons, report, rule


def _net(kernel=3, cin=64, cout=64, size=56, axes=2, **facts):
    b = Builder(1, 3, *(size,) * axes)
    x = b.relu(b.conv(b.x, cin, 1))
    x = b.conv(x, cout, kernel, **facts)
    b.linear(b.add(ir.Reshape(), [b.pool(b.relu(x))], (1, cout)), 10)
    return b.graph()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("k", "cin", "cout"), [(3, 64, 64), (3, 32, 128), (5, 48, 96)])
def test_saving_is_the_catalogue_formula(k, cin, cout, bias):
    """MACs go from k2*Cin*Cout to k2*Cin + Cin*Cout a position, params likewise with biases."""
    (finding,) = findings(_net(k, cin, cout, bias=bias), "CL301")
    positions = 56 * 56
    assert finding.saving.macs == positions * (k * k * cin * cout - k * k * cin - cin * cout)
    before = k * k * cin * cout + bias * cout
    after = k * k * cin + cin * cout + bias * (cin + cout)
    assert finding.saving.params == before - after
    assert finding.saving.activation_bytes == -4 * positions * cin


def test_one_dimensional_saving():
    """Conv1d needs 1/Cout + 1/k of its MACs."""
    (finding,) = findings(_net(5, 64, 64, 20_000, axes=1), "CL301")
    assert finding.saving.macs == 20_000 * 64 * (5 * 64 - 5 - 64)


def test_stride_and_shape_are_kept():
    """A strided conv becomes a strided depthwise conv; the edited graph is valid and agrees."""
    (finding,) = findings(_net(3, 64, 128, stride=2), "CL301")
    assert finding.saving.macs == 28 * 28 * (9 * 64 * 128 - 9 * 64 - 64 * 128)
    assert "stride=2" in finding.instead.splitlines()[1]
    assert "stride" not in finding.instead.splitlines()[2]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"groups": 2}, "groups=2"),
        ({"cin": 8}, "under 16"),
        ({"size": 8}, "MMACs, under 5"),
        ({"transposed": True}, "transposed"),
    ],
)
def test_refusals_name_the_reason(facts, reason):
    """What is no dense layer worth factoring is refused with the value that decides."""
    graph = _net(**facts)
    assert findings(graph, "CL301") == ()
    assert any(reason in text for text in reasons(graph, "CL301"))


def test_strips_are_no_candidates():
    """1xk and kx1 convs are not dense kernels."""
    assert findings(_net(kernel=(1, 7)), "CL301") == ()


def test_prediction_layer_is_silent_and_a_wide_last_conv_is_not():
    """A last conv with 3 channels predicts; one with 64 is judged like any other."""
    for channels, count in ((3, 0), (64, 1)):
        b = Builder(1, 3, 128, 128)
        b.conv(b.relu(b.conv(b.x, 64, 1)), channels, 3)
        assert len(findings(b.graph(), "CL301")) == count


@pytest.mark.parametrize(
    ("widths", "act", "count"), [((91, 36), 0, 0), ((91, 91), 0, 2), ((91, 36), 1, 2)]
)
def test_the_heads_of_a_detector_predict(widths, act, count):
    """Last convs of different widths are classes and boxes; equal ones are a pyramid's levels."""
    b = Builder(1, 3, 128, 128)
    x = b.relu(b.conv(b.x, 64, 1))
    heads = [b.conv(x, width, 3, line=line) for line, width in enumerate(widths, 7)]
    heads = [b.relu(head) for head in heads] if act else heads
    graph = b.graph(*heads)
    assert len(findings(graph, "CL301")) == count
    if not count:
        assert reasons(graph, "CL301") == ["it is the prediction layer"] * 2


@pytest.mark.parametrize("between", ["pool", "blur", "nothing"])
def test_a_fused_block_may_blur_before_its_projection(between):
    """MobileNetV4's variants pool or blur between the 3x3 and the linear 1x1."""
    b = Builder(1, 3, 112, 112)
    x = b.relu(b.norm(b.conv(b.conv(b.x, 24, 1), 96, 3)))
    if between == "pool":
        x = b.add(ir.Pool("avg", (2, 2), (2, 2), (0, 0)), [x], (1, 96, 56, 56))
    if between == "blur":
        x = b.conv(x, 96, 3, stride=2, groups=96, buffer=True)
    x = b.norm(b.conv(x, 32, 1))
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 32)), 10)
    assert findings(b.graph(), "CL301") == ()
    assert any("expands" in text or "depthwise" in text for text in reasons(b.graph(), "CL301"))


def test_a_head_is_no_fused_block():
    """A 3x3 that widens before the 1x1 that predicts is told: nothing is projected back."""
    b = Builder(1, 3, 112, 112)
    b.conv(b.relu(b.norm(b.conv(b.conv(b.x, 64, 1), 128, 3))), 21, 1)
    assert len(findings(b.graph(), "CL301")) == 1


def test_a_fused_block_that_expands_by_one_is_silent_in_its_family():
    """EfficientNetV2 starts with blocks of one 3x3; a ResNet's 3x3 is told, beside none of them."""
    for fused, count in ((True, 0), (False, 1)):
        b = Builder(1, 3, 56, 56)
        x = b.conv(b.x, 24, 1)
        x = b.sum(b.relu(b.norm(b.conv(x, 24, 3))), x)
        if fused:
            x = b.sum(b.norm(b.conv(b.relu(b.norm(b.conv(x, 96, 3))), 24, 1)), x)
        b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 24)), 10)
        assert len(findings(b.graph(), "CL301")) == count


def test_beside_a_depthwise_conv_it_is_silent():
    """A dense conv that a depthwise one feeds through norm and activation is left alone."""
    b = Builder(1, 3, 56, 56)
    x = b.conv(b.x, 64, 1)
    x = b.relu(b.norm(b.conv(x, 64, 3, groups=64)))
    b.linear(b.add(ir.Reshape(), [b.pool(b.conv(x, 64, 3))], (1, 64)), 10)
    assert reasons(b.graph(), "CL301") == ["a depthwise conv stands beside it"]


@pytest.mark.parametrize("wide", [36, 96])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("linear", [True, False])
def test_fused_mbconv_is_silent_and_a_bottleneck_is_not(linear, gated, wide):
    """Expand, (squeeze-excite,) linear projection is by design; an activation after it is not."""
    b = Builder(1, 3, 56, 56)
    stem = b.conv(b.x, 24, 1)
    x = b.relu(b.norm(b.conv(stem, wide, 3)))
    if gated:
        gate = b.same(ir.Activation("sigmoid"), b.conv(b.pool(x), wide, 1))
        x = b.same(ir.Mul(), x, gate)
    x = b.norm(b.conv(x, 24, 1))
    x = x if linear else b.relu(x)
    b.linear(b.add(ir.Reshape(), [b.pool(b.sum(x, stem))], (1, 24)), 10)
    assert len(findings(b.graph(), "CL301")) == (0 if linear else 1)


def test_it_yields_to_large_kernel():
    """A 5x5 that CL101 tells is not told again by CL301."""
    graph = _net(5, 64, 64)
    assert [f.code for f in report(graph, "CL101", "CL301").findings] == ["CL101"]
    assert [f.code for f in report(graph, "CL301").findings] == ["CL301"]


def test_severity_follows_the_profile():
    """A warning on CPUs and microcontrollers, an info elsewhere."""
    meta = rule("CL301").meta
    warned = {p for p in ("generic", "cpu", "arm", "mcu", "gpu-fp16") if
              meta.severity_under(profiles.load(p)) is Severity.WARNING}  # fmt: skip
    assert warned == {"cpu", "arm", "mcu"}


def test_a_module_called_often_is_one_finding_and_its_params_count_once():
    """32 calls of one conv: one finding, 32 places, the weights saved once."""
    b = Builder(1, 3, 32, 32)
    x = b.conv(b.x, 32, 1)
    for _ in range(32):
        x = b.relu(b.conv(x, 32, 3, module="body", line=7))
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 32)), 10)
    (finding,) = findings(b.graph(), "CL301")
    assert (finding.sites, finding.modules) == (32, ("body",))
    assert finding.message.startswith("1 dense conv called 32 times, 3x3 32->32 at 32x32, holds")
    assert finding.saving.params == 9 * 32 * 32 - 9 * 32 - 32 * 32
    assert finding.saving.macs == 32 * 1024 * (9 * 32 * 32 - 9 * 32 - 32 * 32)


def test_convs_built_on_one_line_and_called_often_are_told_apart():
    """Two modules called twice each are two convs called four times."""
    b = Builder(1, 3, 32, 32)
    x = b.conv(b.x, 32, 1)
    for place in range(4):
        x = b.relu(b.conv(x, 32, 3, module=f"body.{place % 2}", line=7))
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 32)), 10)
    (finding,) = findings(b.graph(), "CL301")
    assert finding.message.startswith("2 dense convs called 4 times, the largest")


def test_a_volume_is_advice_at_most():
    """A dense 3x3x3 is an info under every profile, a 3x3 a warning on CPUs; settings stand."""
    one = rule("CL301")
    told = []
    for axes, size in ((3, 16), (2, 56)):
        graph = _net(size=size, axes=axes)
        reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
        for severity in (Severity.WARNING, Severity.ERROR):
            active = (ActiveRule(one, severity, one.options()),)
            told += [
                f.severity
                for f in check_model(reply, active, profile=profiles.load("cpu")).findings
            ]
    assert told == [Severity.INFO, Severity.ERROR, Severity.WARNING, Severity.ERROR]


def test_a_functional_conv_is_told_as_calls():
    """F.conv2d is replaced by calls, with the shapes their weights have."""

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 32, 3)
            self.w = nn.ParameterList(nn.Parameter(torch.zeros(32, 32, 3, 3)) for _ in range(2))

        def forward(self, x):
            x = self.stem(x)
            for w in self.w:
                x = nn.functional.conv2d(x, w, stride=2, padding=1).relu()
            return x.mean((2, 3))

    reply = read_instance(
        Functional(), (torch.zeros(1, 3, 224, 224, device="meta"),), {}, target="t"
    )
    one = rule("CL301")
    (finding,) = check_model(reply, (ActiveRule(one, Severity.INFO, one.options()),)).findings
    assert finding.message.startswith("2 dense convs, the largest")
    assert finding.instead.splitlines() == [
        "x = F.conv2d(x, weight, stride=2, padding=1, groups=32)  # weight: 32x1x3x3",
        "x = F.conv2d(x, weight)  # weight: 32x32x1x1",
    ]
