"""The rules that ask for a retraining, or are about hardware, on hand-built graphs and known models."""

from __future__ import annotations

import msgspec
import pytest
import torch
from convlint_rules.gridding.rule import holes
from torch import nn

import convlint
from convlint import profiles
from convlint.checking import ActiveRule, check_model
from convlint.ir import nodes as ir
from convlint.wire import Reply
from tests.graphs import Builder
from tests.rules.proving import applied
from tests.rules.runs import findings, reasons, rule
from tests.zoo import graph_of


def found(graph, code, profile="generic", options=None):
    """Return what one rule finds under a profile."""
    one = rule(code)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    target = profiles.load(profile)
    active = (ActiveRule(one, one.meta.severity_under(target), options or one.options()),)
    report = check_model(reply, active, profile=target)
    assert not [d for d in report.diagnostics if d.code == "CL903"], report.diagnostics
    return report.findings


def modules(findings_):
    """Return the modules of findings, in order."""
    return [module for finding in findings_ for module in finding.modules]


# --- CL103 -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "left"),
    [
        ((2, 2, 2), True), ((1, 2, 9), True), ((2, 4, 8), True), ((1, 2, 3), False),
        ((1, 2, 5), False), ((1, 2, 4, 8, 16), False), ((2, 2), True), ((3, 4), True), ((2, 3), False),
    ],
)  # fmt: skip
def test_holes_by_the_test_of_hybrid_dilated_convolution(rates, left):
    """Both halves are needed: (2, 2, 2) fails by its divisor, (1, 2, 9) by the distance."""
    assert holes(rates) is left
    if rates[0] == 1:
        assert _by_hand(rates) is left


def _by_hand(rates):
    """Count, on one axis, whether the taps of the whole row reach every input of the field."""
    seen = {0}
    for rate in rates:
        seen = {place + step * rate for place in seen for step in (-1, 0, 1)}
    reach = max(seen)
    return seen != set(range(-reach, reach + 1))


def test_gridding_on_a_segmentation_backbone():
    """fcn_resnet50: six layers of rate 2, then two of rate 4, one row."""
    (finding,) = found(graph_of("fcn_resnet50", 1, 3, 520, 520, weights_backbone=None), "CL103")
    assert "8 dilated convs in a row with rates 2, 2, 2, 2, 2, 2, 4, 4" in finding.message
    assert finding.severity == "info"


# --- CL104 -------------------------------------------------------------------------


class Pointwise(nn.Module):
    """A 1x1 with a dilation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, dilation=3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x))


def test_noop_dilation_is_applied_with_its_weights():
    """The same outputs, the same weights, the dilation gone; the source can be edited too."""
    made = applied(Pointwise(), "CL104", torch.randn(1, 3, 5, 5))
    assert made.module.conv.dilation == (1, 1)
    assert made.largest_difference == 0
    (finding,) = made.report.findings
    assert [(edit.name, edit.value) for edit in finding.fix] == [("dilation", "1")]


# --- CL105 -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "s", "fires"), [(3, 2, 1), (5, 2, 1), (4, 2, 0), (2, 2, 0), (6, 3, 0)]
)
def test_uneven_overlap(k, s, fires):
    """Only kernels that the stride does not divide; the message counts the taps of an output."""
    b = Builder(1, 16, 8, 8)
    b.conv(b.x, 8, k, stride=s, padding=0, transposed=True, line=3)
    told = findings(b.graph(), "CL105")
    assert len(told) == fires
    if (k, s) == (3, 2):
        assert "sums 1 to 4 taps" in told[0].message


@pytest.mark.parametrize(
    ("k", "s", "p", "extra"), [(3, 2, 1, 1), (5, 2, 2, 1), (3, 2, 0, 0), (5, 3, 1, 0), (7, 2, 3, 1)]
)
def test_the_even_layer_that_is_named_has_the_same_output_size(k, s, p, extra):
    """The code under ``write`` builds a layer in the place of the old one."""
    layer = nn.ConvTranspose2d(8, 4, k, s, p, extra)
    x = torch.randn(1, 8, 6, 6)
    (finding,) = convlint.lint(nn.Sequential(layer), x, select=["CL105"]).findings
    other = eval(finding.instead.splitlines()[0], {"nn": nn})
    assert other(x).shape == layer(x).shape
    assert all(a % b == 0 for a, b in zip(other.kernel_size, other.stride, strict=True))


# --- CL202, CL501, CL502 -----------------------------------------------------------


def test_narrow_groups_by_target():
    """ResNeXt's widths 4 and 8 are narrow on a GPU, 16 and 32 are not; RegNet's 48 never is."""
    told = found(graph_of("resnext50_32x4d"), "CL202", "gpu-fp16")
    assert {module.partition(".")[0] for module in modules(told)} == {"layer1", "layer2"}
    assert {finding.severity for finding in told} == {"warning"}
    assert found(graph_of("regnet_x_3_2gf"), "CL202", "gpu-fp16") == ()
    assert found(graph_of("regnet_x_3_2gf"), "CL202", "ethos-u") != ()


def test_misaligned_channels_are_silent_where_nothing_pads():
    """18 channels are computed as 24 on a GPU and as 18 on a CPU; 58 stay under 15 %."""
    b = Builder(1, 64, 16, 16)
    x = b.relu(b.conv(b.x, 18, 3, line=3))
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 18)), 10)
    (finding,) = found(b.graph(), "CL501", "gpu-fp16")
    assert "64->18 is computed as 64->24" in finding.message
    assert "25% of its work is padding" in finding.message
    assert found(b.graph(), "CL501", "cpu") == ()
    assert found(graph_of("shufflenet_v2_x1_0"), "CL501", "gpu-fp16") == ()


def test_early_depthwise_says_what_fusing_costs():
    """Only maps of 56 and more, only on a GPU; the fused layer's MACs are counted."""
    graph = graph_of("mobilenet_v2")
    told = found(graph, "CL502", "gpu-fp16")
    assert modules(told)[:2] == ["features.2.conv.0.0", "features.2.conv.1.0"]
    assert all(finding.saving.macs == 0 for finding in told)
    assert found(graph, "CL502", "arm") == ()
    assert any("its map is 28 wide" in text for text in _reasons(graph, "CL502", "gpu-fp16"))


def _reasons(graph, code, profile):
    one = rule(code)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    active = (ActiveRule(one, one.meta.severity, one.options()),)
    return [r.reason for r in check_model(reply, active, profile=profiles.load(profile)).refusals]


def test_peak_activation_names_the_tensors_that_make_it():
    """The peak of the report, over the memory that was given; nothing where none was."""
    graph = graph_of("mobilenet_v2")
    one = rule("CL503")
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    active = (ActiveRule(one, one.meta.severity, one.options()),)
    for ram, fires in ((0, 0), (2**20, 1), (2**30, 0)):
        target = msgspec.structs.replace(profiles.GENERIC, ram=ram)
        report = check_model(reply, active, profile=target)
        assert len(report.findings) == fires
        if fires:
            (finding,) = report.findings
            peak = report.totals.peak_activation_bytes
            assert f"activations need {peak / 2**20:.4g} MiB at once and --ram allows 1 MiB" in (
                finding.message
            )
            assert (
                report.totals.peak_module.partition(".")[0] == finding.modules[0].partition(".")[0]
            )


# --- CL302, CL303 ------------------------------------------------------------------


def test_the_head_of_fcn_is_unreduced():
    """2048 to 512 at 65x65 holds 39.9 GMACs; dense 3x3 nets are CL301's to tell."""
    graph = graph_of("fcn_resnet50", 1, 3, 520, 520, weights_backbone=None)
    (finding,) = found(graph, "CL302")
    middle = 512 // 4
    macs = 65 * 65 * (9 * 2048 * 512 - middle * (2048 + 9 * middle + 512))
    assert finding.saving.macs == macs
    assert finding.modules == ("classifier.0",)
    assert found(graph_of("vgg16"), "CL302") == ()


@pytest.mark.parametrize(
    ("name", "shape", "out"), [("vgg16", (512, 7), 4096), ("alexnet", (256, 6), 4096)]
)
def test_flattened_classifiers(name, shape, out):
    """vgg16: 102.8 M weights, 74 %; alexnet: 37.8 M, 62 %; averaged features need 1/positions."""
    graph = graph_of(name)
    (finding,) = found(graph, "CL303")
    channels, side = shape
    assert finding.saving.params == channels * out * (side * side - 1)
    assert (
        f"({100 * (channels * side * side + 1) * out / sum(p.elements for p in graph.params()):.0f}%"
        in (finding.message)
    )
    (head,) = finding.alternatives
    assert head.saving.params > finding.saving.params


@pytest.mark.parametrize("heads", [1, 2])
def test_a_flattened_region_with_boxes_is_left_alone(heads):
    """A detector's box head flattens on purpose: its features lead to classes and to boxes."""
    b = Builder(1, 64, 8, 8)
    x = b.relu(b.linear(b.add(ir.Reshape(), [b.conv(b.x, 64, 3)], (1, 64 * 64)), 512, "fc6"))
    ends = [b.linear(x, 4 * (k + 1), f"head{k}") for k in range(heads)]
    graph = b.graph(*ends)
    assert len(findings(graph, "CL303")) == 2 - heads
    if heads > 1:
        assert reasons(graph, "CL303") == ["several heads read it: boxes need the place"]


class Flat(nn.Module):
    """A classifier on a flattened map."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(8)
        self.classifier = nn.Sequential(nn.Linear(64 * 64, 512), nn.ReLU(), nn.Linear(512, 10))

    def forward(self, x):
        return self.classifier(self.pool(torch.relu(self.conv(x))).flatten(1))


class Late(nn.Module):
    """A wide pointwise layer before pooling."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=4)
        self.wide = nn.Conv2d(32, 256, 1, bias=False)
        self.norm = nn.BatchNorm2d(256)
        self.head = nn.Linear(256, 10)

    def forward(self, x):
        x = torch.relu(self.norm(self.wide(torch.relu(self.stem(x)))))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(("make", "code"), [(Flat, "CL303"), (Late, "CL602")])
def test_the_applied_model_costs_what_was_promised(make, code):
    """New layers are built untrained, and a new trace counts what the report said."""
    x = torch.randn(1, 3, 64, 64)
    module, report = convlint.apply(make(), x, rules=[code])
    totals = convlint.lint(module, x).totals
    assert report.findings
    assert (totals.macs, totals.params) == (report.after.all.macs, report.after.all.params)
    assert report.after.exact.macs == report.totals.macs


# --- CL601 to CL604 ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "first", "params"), [(32, "features.14", 92), (64, "features.21", 64)]
)
def test_the_tail_of_vgg_on_small_images(size, first, params):
    """vgg16 on 32x32 from conv3_3 on, on 64x64 from conv4_3 on; the conv weights' share."""
    graph = graph_of("vgg16", 1, 3, size, size)
    told = modules(found(graph, "CL601"))
    assert told[0] == first
    convs = {
        n.module: sum(p.elements for p in n.params) for n in graph if isinstance(n.op, ir.Conv)
    }
    share = sum(convs[module] for module in told) / sum(convs.values())
    assert round(100 * share) == params
    assert found(graph_of("vgg16"), "CL601") == ()


@pytest.mark.parametrize(
    ("name", "percent"),
    [("squeezenet1_1", 24.6), ("mobilenet_v2", 6.5), ("mnasnet1_0", 6.3), ("efficientnet_b0", 5.1)],
)
def test_late_pointwise_on_known_models(name, percent):
    """All but one of 49 (169) positions are saved of the last wide 1x1."""
    (finding,) = found(graph_of(name), "CL602")
    assert finding.saving.macs_percent == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize("name", ["efficientnet_v2_s", "mobilenet_v3_large", "resnet50"])
def test_late_pointwise_is_silent(name):
    """Under 5 %, pooled first already, or no such layer."""
    assert found(graph_of(name), "CL602") == ()


def test_full_resolution_on_vgg():
    """conv1_2: 1.85 GMACs, 12 % of the model."""
    (finding,) = found(graph_of("vgg16"), "CL603")
    assert finding.modules == ("features.2",)
    assert "12.0% of the MACs" in finding.message


def test_output_stride_of_a_segmentation_net():
    """Two dilated stages of output stride 8; none in a classifier."""
    graph = graph_of("deeplabv3_resnet50", 1, 3, 520, 520, weights_backbone=None)
    told = found(graph, "CL604")
    assert "output stride 8 at 65x65" in told[0].message
    assert found(graph_of("resnet50"), "CL604") == ()


@pytest.mark.parametrize("beside", [False, True])
def test_rates_side_by_side_keep_no_resolution(beside):
    """Selective kernels read one map at two rates, in the place of a 5x5: no stage of its own."""
    b = Builder(1, 3, 64, 64)
    x = b.conv(b.x, 64, 4, stride=4, padding=0)
    for _ in range(3):
        y = b.relu(b.conv(x, 64, 3, dilation=2))
        x = b.sum(y, b.relu(b.conv(x, 64, 3))) if beside else y
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 64)), 10)
    assert len(findings(b.graph(), "CL604")) == (0 if beside else 1)


@pytest.mark.parametrize(
    ("code", "build", "reason"),
    [
        ("CL103", lambda b: [b.conv(b.conv(b.x, 16, 3), 16, 3, dilation=2)], ""),
        ("CL104", lambda b: [b.conv(b.x, 16, (1, 3), dilation=2)], "more taps too"),
        (
            "CL105",
            lambda b: [b.conv(b.x, 16, 3, stride=2, groups=16, transposed=True)],
            "depthwise",
        ),
        ("CL303", lambda b: [b.linear(b.add(ir.Reshape(), [b.x], (1, 16 * 64)), 10)], "parameters"),
        ("CL603", lambda b: [b.conv(b.x, 16, 3)], "the model's output has 8x8"),
    ],
)
def test_what_is_left_alone_has_its_reason(code, build, reason):
    """Each refusal names the value."""
    b = Builder(1, 16, 8, 8)
    build(b)
    graph = b.graph()
    assert findings(graph, code) == ()
    told = reasons(graph, code)
    assert any(reason in text for text in told) if reason else told == []
