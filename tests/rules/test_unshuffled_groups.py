"""CL201 on real models: ShuffleNet v1 and v2 as published, ResNeXt, and towers without mixing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convlint import edit
from convlint.checking import ActiveRule, check_model
from convlint.contract import Context
from convlint.cost import count
from convlint.ir import nodes as ir
from convlint.tracing.inline import read_instance
from tests.graphs import Builder
from tests.rules.runs import findings, report, rule


class Unit(nn.Module):
    """A ShuffleNet v1 unit: grouped 1x1, shuffle, depthwise 3x3, grouped 1x1, add or concat."""

    def __init__(self, inp, out, groups, *, stride=1, first=False):
        super().__init__()
        self.stride, self.groups, mid = stride, groups, out // 4
        out = out - inp if stride == 2 else out
        self.pw1 = nn.Conv2d(inp, mid, 1, groups=1 if first else groups, bias=False)
        self.dw = nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False)
        self.pw2 = nn.Conv2d(mid, out, 1, groups=groups, bias=False)
        self.bn = nn.ModuleList(nn.BatchNorm2d(c) for c in (mid, mid, out))

    def forward(self, x):
        y = torch.relu(self.bn[0](self.pw1(x)))
        n, c, h, w = y.shape
        y = y.reshape(n, self.groups, c // self.groups, h, w).permute(0, 2, 1, 3, 4)
        y = self.bn[1](self.dw(y.reshape(n, c, h, w)))
        y = self.bn[2](self.pw2(y))
        if self.stride == 1:
            return torch.relu(x + y)
        short = nn.functional.avg_pool2d(x, 3, 2, 1)
        return torch.cat((short, torch.relu(y)), 1)


class ShuffleNetV1(nn.Module):
    """The published net at scale 1."""

    def __init__(self, groups, widths):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU()
        )
        units, inp = [], 24
        for stage, (width, repeats) in enumerate(zip(widths, (4, 8, 4), strict=True)):
            for place in range(repeats):
                stride, first = (1 if place else 2), stage == place == 0
                units.append(Unit(inp, width, groups, stride=stride, first=first))
                inp = width
        self.units = nn.Sequential(*units)
        self.fc = nn.Linear(inp, 1000)

    def forward(self, x):
        x = self.units(nn.functional.max_pool2d(self.stem(x), 3, 2, 1))
        return self.fc(x.mean((2, 3)))


class V2Unit(nn.Module):
    """A ShuffleNet v2 unit with grouped convs in its branch and the shuffle after the concat."""

    def __init__(self, width, groups):
        super().__init__()
        half = width // 2
        self.a = nn.Conv2d(half, half, 1, groups=groups)
        self.dense = nn.Conv2d(half, half, 1)
        self.mix = nn.ChannelShuffle(2)

    def forward(self, x):
        left, right = x.chunk(2, 1)
        return self.mix(torch.cat((left, self.dense(torch.relu(self.a(right)))), 1))


def _report(model, *shape):
    one = rule("CL201")
    reply = read_instance(model.eval(), (torch.zeros(*shape, device="meta"),), {}, target="t")
    return check_model(reply, (ActiveRule(one, one.meta.severity, one.options()),))


@pytest.mark.parametrize(
    ("groups", "widths"),
    [(2, (200, 400, 800)), (3, (240, 480, 960)), (4, (272, 544, 1088)), (8, (384, 768, 1536))],
)
def test_shufflenet_v1_as_published_is_silent(groups, widths):
    """It shuffles once a unit; the pair across two units is its design, and is refused by name."""
    found = _report(ShuffleNetV1(groups, widths), 1, 3, 224, 224)
    assert found.status == "complete"
    assert found.findings == ()
    assert all("ShuffleNet v1" in refusal.reason for refusal in found.refusals)


def test_shufflenet_v1_without_its_shuffle_fires(monkeypatch):
    """Take the permute out, and the units become one run."""

    def forward(self, x):
        y = self.pw2(self.dw(torch.relu(self.pw1(x))))
        short = nn.functional.avg_pool2d(x, 3, 2, 1)
        return torch.relu(x + y) if self.stride == 1 else torch.cat((short, torch.relu(y)), 1)

    monkeypatch.setattr(Unit, "forward", forward)
    found = _report(ShuffleNetV1(3, (240, 480, 960)), 1, 3, 224, 224)
    assert found.findings
    assert "grouped convs in a row (g=3)" in found.findings[0].message


def test_shufflenet_v2_units_are_silent():
    """Chunk, grouped conv, dense conv, concat, shuffle: mixed on every path."""
    model = nn.Sequential(nn.Conv2d(3, 32, 3), *(V2Unit(32, 4) for _ in range(4)))
    assert _report(model, 1, 3, 32, 32).findings == ()


def test_mixture_convs_over_the_batch_are_silent():
    """Groups that exist only because samples are folded into channels are not judged."""

    class PerSample(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 8, 8, 3, 3))

        def forward(self, x):
            n, c, h, w = x.shape
            share = x.mean((1, 2, 3)).reshape(n, 1, 1, 1, 1)
            x = x.reshape(1, n * c, h, w)
            for _ in range(2):
                kernel = (self.weight * share).reshape(n * 8, 8, 3, 3)
                x = torch.nn.functional.conv2d(x, kernel, padding=1, groups=n)
            return x.reshape(n, c, h, w)

    assert _report(PerSample(), 4, 8, 16, 16).findings == ()


def _tower(*groups, shuffle_at=()):
    b = Builder(1, 3, 16, 16)
    x = b.conv(b.x, 32, 1)
    for place, number in enumerate(groups):
        x = b.shuffle(x, 4) if place in shuffle_at else x
        x = b.relu(b.conv(x, 32, 3, groups=number, line=10 + place, module=f"g{place}"))
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 32)), 10)
    return b.graph()


@pytest.mark.parametrize(
    ("groups", "shuffle_at", "run"),
    [
        ((4, 4), (), 2),
        ((4, 4, 4), (), 3),
        ((4, 4, 4), (2,), 2),
        ((4, 4, 4, 4), (1, 3), 0),
        ((4, 4, 4, 4, 4), (1, 4), 3),
        ((2, 4), (), 2),
    ],
)
def test_runs_of_two_fire_unless_both_sides_are_shuffles(groups, shuffle_at, run):
    """Two fire; exactly two between two shuffles do not; three always do."""
    found = findings(_tower(*groups, shuffle_at=shuffle_at), "CL201")
    assert [len(f.modules) for f in found] == ([run] if run else [])


def test_the_finding_stands_on_the_first_conv_and_names_the_others():
    """Location is the first conv's line, the others' lines are related, all modules listed."""
    (finding,) = findings(_tower(4, 4, 4), "CL201")
    assert finding.location.line == 10
    assert finding.modules == ("g0", "g1", "g2")
    assert [r.line for r in finding.related] == [11, 12]
    assert "ChannelShuffle(4)" in finding.instead
    assert "4 isolated islands" in finding.message


def test_the_shuffle_costs_no_macs_and_no_params():
    """Inserting it writes the tensor once for each pair and counts nothing else."""
    (finding,) = findings(_tower(4, 4, 4), "CL201")
    assert (finding.saving.macs, finding.saving.params) == (0, 0)
    assert finding.saving.activation_bytes == -2 * 4 * 32 * 16 * 16


def _pair(channels, first, second, *, shuffle=0):
    b = Builder(1, 3, 16, 16)
    x = b.conv(b.conv(b.x, channels, 1), channels, 3, groups=first, module="a", line=1)
    x = b.shuffle(x, shuffle) if shuffle else x
    x = b.conv(x, channels, 3, groups=second, module="b", line=2)
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, channels)), 10)
    return b.graph()


def _context(graph):
    return Context(graph, count(graph))


@pytest.mark.parametrize(
    ("channels", "first", "second", "shuffle"),
    [
        (64, 4, 4, 0),
        (64, 4, 8, 0),
        (64, 8, 4, 0),
        (36, 6, 4, 0),
        (96, 12, 6, 0),
        (32, 4, 4, 2),
        (32, 2, 4, 16),
    ],
)
def test_the_shuffle_offered_connects_the_groups(channels, first, second, shuffle):
    """Whatever the two numbers of groups, the edited graph is silent and the words say that g."""
    graph, one = _pair(channels, first, second, shuffle=shuffle), rule("CL201")
    (finding,) = findings(graph, "CL201")
    (site,) = one.find(_context(graph), one.options())
    (way,) = one.rewrite(_context(graph), site, one.options())
    assert findings(edit.apply(graph, way.edit), "CL201") == ()
    (added,) = [n.op.groups for n in way.edit.added if isinstance(n.op, ir.ChannelShuffle)]
    assert f"nn.ChannelShuffle({added})" in finding.instead
    assert "no single shuffle" not in finding.message


@pytest.mark.parametrize(
    ("channels", "first", "second", "shuffle"), [(64, 8, 16, 0), (64, 8, 16, 8), (24, 6, 12, 0)]
)
def test_where_no_shuffle_connects_ungrouping_is_named(channels, first, second, shuffle):
    """Eight groups of 8 and sixteen of 4: no shuffle joins them, so a conv without groups does."""
    graph = _pair(channels, first, second, shuffle=shuffle)
    (finding,) = findings(graph, "CL201")
    assert "no single shuffle connects them" in finding.message
    assert f"(g={first}, then {second})" in finding.message
    assert (
        finding.instead
        == f"nn.Conv2d({channels}, {channels}, 3, padding=1, bias=False)  # a without groups"
    )
    assert finding.saving.activation_bytes == finding.saving.macs == 0


@pytest.mark.parametrize(
    ("shuffle", "words"),
    [(0, "no shuffle between:"), (8, "what lies between does not connect the groups:")],
)
def test_a_shuffle_that_does_not_connect_is_not_denied(shuffle, words):
    """The message says no shuffle only where there is none."""
    (finding,) = findings(_pair(64, 8, 16, shuffle=shuffle), "CL201")
    assert f" and {words}" in finding.message


def test_one_conv_called_twice_is_one_conv():
    """A grouped module that runs on its own output is counted once."""
    b = Builder(1, 3, 16, 16)
    x = b.conv(b.x, 32, 1)
    for _ in range(3):
        x = b.conv(x, 32, 3, groups=4, module="body", line=7)
    b.linear(b.add(ir.Reshape(), [b.pool(x)], (1, 32)), 10)
    (finding,) = findings(b.graph(), "CL201")
    assert finding.message.startswith("1 grouped conv called 3 times in a row")


def test_a_functional_conv_is_shuffled_by_a_call():
    """F.conv2d has no place for a layer: the words are calls as well."""

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 16, 3)
            self.v = nn.Parameter(torch.zeros(16, 4, 3, 3))
            self.w = nn.Parameter(torch.zeros(16, 4, 3, 3))

        def forward(self, x):
            x = nn.functional.conv2d(self.stem(x), self.v, groups=4)
            return nn.functional.conv2d(x, self.w, groups=4)

    (finding,) = _report(Functional(), 1, 3, 16, 16).findings
    assert finding.instead.startswith("x = F.channel_shuffle(x, 4)  #")


def test_made_rewrite_silences_the_rule():
    """With the shuffles in the graph the run is gone."""
    graph, one = _tower(4, 4, 4), rule("CL201")
    context = Context(graph, count(graph))
    (site,) = one.find(context, one.options())
    (way,) = one.rewrite(context, site, one.options())
    assert findings(edit.apply(graph, way.edit), "CL201") == ()


def test_depthwise_pair_asks_for_a_pointwise_conv_not_for_a_shuffle():
    """A shuffle between depthwise convs mixes nothing, so none is offered."""
    b = Builder(1, 3, 16, 16)
    x = b.conv(b.x, 16, 1)
    x = b.relu(b.conv(x, 16, 3, groups=16))
    b.conv(x, 16, 3, groups=16)
    (finding,) = findings(b.graph(), "CL201")
    assert "nn.Conv2d(16, 16, 1)" in finding.instead
    assert finding.saving.activation_bytes == 0


def test_min_run_is_an_option():
    """A run of two is not told where three are asked for."""
    options = rule("CL201").options(min_run=3)
    assert report(_tower(4, 4), "CL201", options=options).findings == ()
