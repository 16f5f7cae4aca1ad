"""What a target makes of an advice: which form is claimed first, what it says of groups."""

from __future__ import annotations

import pytest

from convlint import profiles
from convlint.checking import ActiveRule, check_model
from convlint.ir import nodes as ir
from convlint.wire import Reply
from tests.graphs import Builder
from tests.rules.runs import rule

GPUS = ("gpu-fp16", "gpu-int8")


def _report(graph, code, profile, options=None):
    one = rule(code)
    target = profiles.load(profile)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    active = (ActiveRule(one, one.meta.severity_under(target), options or one.options()),)
    report = check_model(reply, active, profile=target)
    assert not [d for d in report.diagnostics if d.code == "CL903"], report.diagnostics
    return report


def _net(kernel, cin=64, cout=64, **facts):
    b = Builder(1, 3, 56, 56)
    x = b.conv(b.relu(b.conv(b.x, cin, 1)), cout, kernel, **facts)
    b.linear(b.add(ir.Reshape(), [b.pool(b.relu(x))], (1, cout)), 10)
    return b.graph()


DILATED, STACKED = 25 - 9, 25 - 18
"""Products saved for each pair of channels and position: of a 5x5, by one 3x3 and by two."""


@pytest.mark.parametrize(
    ("profile", "first", "second"),
    [("generic", DILATED, STACKED), ("cpu", DILATED, STACKED), ("arm", DILATED, STACKED)]
    + [(name, STACKED, DILATED) for name in (*GPUS, "ethos-u")],
)
def test_which_form_of_a_5x5_is_claimed(profile, first, second):
    """The stack on GPUs and Ethos-U, the dilated 3x3 elsewhere; the other is the alternative."""
    (finding,) = _report(_net(5), "CL101", profile).findings
    position = 56 * 56 * 64 * 64
    assert finding.saving.macs == first * position
    assert [other.saving.macs for other in finding.alternatives] == [second * position]
    assert ("dilation" in finding.instead.splitlines()[0]) is (first == DILATED)
    assert ("stacked" in finding.message.partition(";")[0]) is (first == STACKED)


@pytest.mark.parametrize("kernel", [7, 9, 11])
def test_a_dilation_that_the_target_fills_with_zeros_is_not_offered(kernel):
    """Ethos-U dilates by 2 at most: of a 7x7 and larger only the stack is left, and it says so."""
    (finding,) = _report(_net(kernel), "CL101", "ethos-u").findings
    dilation, convs = (kernel - 1) // 2, (kernel - 1) // 2
    assert finding.saving.macs == 56 * 56 * 64 * 64 * (kernel**2 - 9 * convs)
    assert finding.alternatives == ()
    assert "dilation=" not in finding.instead
    assert f"dilation {dilation} saves nothing on ethos-u" in finding.message
    assert "2 at most" in finding.message


def test_a_kernel_that_no_form_makes_cheaper_is_left_alone():
    """An even 8x8 has no stack, and its twin needs a dilation of 3."""
    graph = _net(8, padding=3)
    assert len(_report(graph, "CL101", "generic").findings) == 1
    report = _report(graph, "CL101", "ethos-u")
    assert report.findings == ()
    (refusal,) = [r for r in report.refusals if "saves nothing" in r.reason]
    assert refusal.reason.startswith("dilation 3 saves nothing on ethos-u")
    assert refusal.reason.endswith("no stack of 3x3 is cheaper")


def test_a_stack_that_costs_more_is_no_way_out():
    """Three 3x3 of the wide side cost more than a 7x7 from 8 to 64: refused on Ethos-U."""
    options = rule("CL101").options(mid="out")
    report = _report(_net(7, 8, 64), "CL101", "ethos-u", options)
    assert report.findings == ()
    assert any("no stack of 3x3 is cheaper" in refusal.reason for refusal in report.refusals)


@pytest.mark.parametrize("profile", profiles.names())
def test_unshuffled_groups_say_where_groups_are_taken_apart(profile):
    """On Ethos-U and Ascend a grouped conv runs as one conv a group, and the message says so."""
    b = Builder(1, 64, 16, 16)
    x = b.relu(b.conv(b.conv(b.x, 64, 1), 64, 3, groups=4))
    b.conv(x, 64, 3, groups=4)
    (finding,) = _report(b.graph(), "CL201", profile).findings
    split = f"{profile} runs one convolution a group" in finding.message
    assert split is (profile in ("ethos-u", "ascend"))


@pytest.mark.parametrize("profile", profiles.names())
def test_dense_nets_are_a_choice_on_gpus(profile):
    """CL301 warns on CPUs and microcontrollers only: a dense 3x3 is what GPUs are good at."""
    (finding,) = _report(_net(3, stride=2), "CL301", profile).findings
    assert finding.severity == ("warning" if profile in ("cpu", "arm", "mcu") else "info")


@pytest.mark.parametrize("profile", profiles.names())
def test_early_dense_layers_stay_dense_on_gpus(profile):
    """Fusing MBConv blocks on maps from 56 on made EfficientNetV2 faster: no advice against it."""
    report = _report(_net(3), "CL301", profile)
    assert len(report.findings) == (profile not in GPUS)
    if profile in GPUS:
        assert any("its map is 56x56" in refusal.reason for refusal in report.refusals)


@pytest.mark.parametrize(
    ("profile", "bound"),
    [("generic", "compute"), ("gpu-fp16", "memory"), ("gpu-int8", "memory"), ("htp", "")],
)
def test_findings_say_what_bounds_their_layers(profile, bound):
    """A strided 3x3 32->32 has 14 MACs a byte in FP32: under a GPU's ridge, over a CPU's."""
    (finding,) = _report(_net(3, 32, 32, stride=2), "CL301", profile).findings
    moved = 4 * (32 * 56 * 56 + 32 * 28 * 28 + 9 * 32 * 32)
    assert 13 < 9 * 32 * 32 * 28 * 28 / moved < 15
    assert finding.bound == bound


@pytest.mark.parametrize(
    ("channels", "profile", "words"),
    [
        (18, "gpu-fp16", "compilers do so silently where a side grows 1.35 times at most"),
        (17, "gpu-fp16", "a side grows 1.41 times, over the 1.35 up to which compilers pad"),
        (18, "gpu-int8", ""),
    ],
)
def test_misaligned_channels_say_who_pads(channels, profile, words):
    """XLA pads FP16 buffers that grow by 1.35 at most; no such limit is known for INT8."""
    b = Builder(1, 64, 16, 16)
    x = b.relu(b.conv(b.x, channels, 3))
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, channels)), 10)
    (finding,) = _report(b.graph(), "CL501", profile).findings
    assert words in finding.message
    assert ("compilers" in finding.message) is bool(words)
