"""CL102 through a Pad of zeros: its zeros are padding like the conv's own."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convlint
from convlint.ir import nodes as ir
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings

CODE = "CL102"
SIDES = st.tuples(*[st.sampled_from([0, 1, 2, 3, 4, -1])] * 2)


class Net(nn.Module):
    """A map, Pads of zeros by layer or by call, a conv by layer or by call."""

    def __init__(self, conv, pads, functional=False, static=False):
        super().__init__()
        self.conv, self.pads = conv, pads
        self.functional, self.static = functional, static
        axes = len(conv.kernel_size)
        self.zeros = nn.ModuleList(getattr(nn, f"ZeroPad{axes}d")(pad) for pad in pads)

    def forward(self, x):
        x, c = torch.relu(x), self.conv
        for layer, pad in zip(self.zeros, self.pads, strict=True):
            x = layer(x) if self.static else F.pad(x, pad)
        if not self.functional:
            return torch.relu(c(x))
        conv = getattr(F, f"conv{x.dim() - 2}d")
        x = conv(x, c.weight, c.bias, c.stride, c.padding, c.dilation, c.groups)
        return torch.relu(x)


def _conv(axes, **options):
    return getattr(nn, f"Conv{axes}d")(4, 6, **options)


def _counted(totals):
    return totals.macs, totals.params, totals.activation_bytes


@settings(max_examples=30, deadline=None)
@given(
    axes=st.integers(1, 3), sizes=st.tuples(*[st.integers(1, 3)] * 3), k=st.integers(2, 5),
    stride=st.integers(1, 3), own=st.integers(0, 2), dilation=st.integers(1, 4),
    groups=st.sampled_from([1, 2]), bias=st.booleans(), functional=st.booleans(), static=st.booleans(),
    sides=st.tuples(SIDES, SIDES, SIDES), more=st.tuples(SIDES, SIDES, SIDES),
    chained=st.booleans(),
)  # fmt: skip
def test_any_padded_conv_keeps_its_outputs(
    axes, sizes, k, stride, own, dilation, groups, bias, functional, static, sides, more, chained
):
    """Wherever it fires: uneven Pads, crops among them, two Pads, a padding of the conv's own."""
    pads = [[s for pair in each[:axes] for s in pair] for each in (sides, more)][: 1 + chained]
    sizes = sizes[:axes]
    reach = dilation * (k - 1) + 1
    left = sizes[::-1]
    for pad in pads:
        cut = [n + min(pad[2 * i], 0) + min(pad[2 * i + 1], 0) for i, n in enumerate(left)]
        assume(min(cut) >= 1)
        left = [n + pad[2 * i] + pad[2 * i + 1] for i, n in enumerate(left)]
    assume(all(n + 2 * own >= reach for n in left))
    conv = _conv(axes, kernel_size=k, stride=stride, padding=own, dilation=dilation, groups=groups, bias=bias)  # fmt: skip
    model = scrambled(Net(conv, pads, functional, static)).double()
    x = torch.randn(2, 4, *sizes).double().abs() + 1
    made = convlint.apply(model, x, rules=(CODE,))
    assert made.refused == ()
    event(f"fired: {bool(made.changes)}")
    if not made.changes:
        return
    with torch.no_grad():
        expected, found = model(x), made.module(x)
    assert expected.shape == found.shape
    assert float((expected - found).abs().max()) <= 1e-9 * max(float(expected.abs().max()), 1e-30)
    again = convlint.lint(made.module, x, select=(CODE,))
    assert (again.totals.macs, again.totals.params) == _counted(made.report.after.exact)[:2]
    assert {finding.severity for finding in again.findings} <= {"info"}


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 6), k=st.integers(2, 6), stride=st.integers(1, 3),
    dilation=st.integers(1, 4), before=st.integers(0, 6), after=st.integers(0, 6),
)  # fmt: skip
def test_fires_where_a_tap_that_can_go_reads_zeros_alone(size, k, stride, dilation, before, after):
    """Torch itself says which taps read data; those outside of the first and the last can go."""
    assume(size + before + after >= dilation * (k - 1) + 1)
    live = []
    for tap in range(k):
        kernel = torch.zeros(1, 1, k)
        kernel[..., tap] = 1
        ones = F.pad(torch.ones(1, 1, size), (before, after))
        if F.conv1d(ones, kernel, None, stride, 0, dilation).any():
            live.append(tap)
    assume(live)
    b = Builder(1, 4, size)
    pad = b.add(ir.Pad(((0, 0), (0, 0), (before, after))), [b.x], (1, 4, size + before + after))
    b.conv(pad, 4, k, stride=stride, padding=0, dilation=dilation)
    step = math.gcd(*(tap - live[0] for tap in live)) or 1
    kept = (live[-1] - live[0]) // step + 1
    warned = [f for f in findings(b.graph(), CODE) if f.severity == "warning"]
    assert bool(warned) == (kept < k)
    if warned:
        positions = (size + before + after - dilation * (k - 1) - 1) // stride + 1
        assert warned[0].saving.macs == positions * 16 * (k - kept)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["zero", "constant", "call"])
def test_an_even_rest_is_the_padding_of_the_conv(axes, kind):
    """3 taps on 1 position under a Pad: a 1x1 conv, and the Pad is gone with the bytes it wrote."""
    pad = {
        "zero": getattr(nn, f"ZeroPad{axes}d")(1),
        "constant": getattr(nn, f"ConstantPad{axes}d")(1, 0.0),
        "call": _Call(lambda x: F.pad(x, (1, 1) * axes)),
    }[kind]
    made = applied(nn.Sequential(pad, _conv(axes, kernel_size=3)), CODE, torch.randn(1, 4, *[1] * axes))  # fmt: skip
    assert len(made.changes) == 1
    assert _targets(made) == [f"conv{axes}d"]
    again = convlint.lint(made.module, torch.randn(1, 4, *[1] * axes).double())
    assert _counted(again.totals) == _counted(made.report.after.exact)


class _Call(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


def _targets(made):
    """Return what the applied model computes, in order."""
    modules = dict(made.module.named_modules())
    return [
        type(modules[node.target]).__name__.lower()
        if node.op == "call_module"
        else node.target.__name__
        for node in made.module.graph.nodes
        if node.op in ("call_module", "call_function")
    ]


def test_an_uneven_rest_stays_a_pad():
    """5 taps on 2 positions under (4, 1): 3 outputs, of which the first tap reads none."""
    model = Net(_conv(1, kernel_size=5), [(4, 1)])
    x = torch.randn(1, 4, 2)
    made = applied(model, CODE, x)
    pads = [node for node in made.module.graph.nodes if node.target is F.pad]
    assert len(pads) == len(made.changes) == 1
    (finding,) = convlint.lint(model, x.double(), select=(CODE,)).findings
    assert f"F.pad(x, {pads[0].args[1]}), x is the map before the Pad" in finding.instead
    again = convlint.lint(made.module, x.double())
    assert _counted(again.totals) == _counted(made.report.after.exact)


class Same(nn.Conv2d):
    """The "same" padding of TensorFlow, at run time, as ports of its models have it."""

    def forward(self, x):
        sides = []
        for n, k, s, d in zip(x.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True):  # fmt: skip
            total = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
            sides = [total // 2, total - total // 2, *sides]
        return F.conv2d(F.pad(x, sides), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(
    h=st.integers(1, 5), w=st.integers(1, 5), k=st.sampled_from([3, 5, 7]),
    stride=st.integers(1, 2), dilation=st.integers(1, 3), depthwise=st.booleans(),
)  # fmt: skip
def test_same_padding_at_run_time(h, w, k, stride, dilation, depthwise):
    """What is computed in forward and passed to F.pad is a Pad like any other."""
    conv = Same(4, 4, k, stride, dilation=dilation, groups=4 if depthwise else 1)
    model = scrambled(nn.Sequential(conv, nn.BatchNorm2d(4), nn.SiLU())).double()
    x = torch.randn(1, 4, h, w).double()
    made = convlint.apply(model, x, rules=(CODE,))
    assert made.refused == ()
    with torch.no_grad():
        assert torch.allclose(model(x), made.module(x), rtol=0, atol=1e-9)
    again = convlint.lint(made.module, x)
    assert _counted(again.totals) == _counted(made.report.after.exact)


def test_the_conv_reads_under_a_pad_that_others_read():
    """The map is read where it lies; the Pad stays for its other reader."""

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3)

        def forward(self, x):
            y = F.pad(torch.relu(x), (1, 1, 1, 1))
            return self.conv(y), torch.tanh(y)

    made = applied(Beside(), CODE, torch.randn(1, 4, 1, 1))
    assert len(made.changes) == 1
    assert sorted(_targets(made)) == ["conv2d", "pad", "relu", "tanh"]


def test_convs_on_one_pad_take_it_out_together():
    """Each has its round, and the last of them takes the Pad out."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 3, dilation=1)

        def forward(self, x):
            y = F.pad(torch.relu(x), (1, 1, 1, 1))
            return self.a(y), self.b(y)

    made = applied(Both(), CODE, torch.randn(1, 4, 1, 1))
    assert len(made.changes) == 2
    assert sorted(_targets(made)) == ["conv2d", "conv2d", "relu"]
    again = convlint.lint(made.module, torch.randn(1, 4, 1, 1).double())
    assert _counted(again.totals) == _counted(made.report.after.exact)


def test_a_second_pad_that_does_not_pay_is_refused():
    """A depthwise conv saves 1 MAC a byte at most: not worth a Pad beside the one others read."""

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(64, 64, 4, groups=64, bias=False)

        def forward(self, x):
            y = F.pad(torch.relu(x), (4, 1))
            return self.conv(y), torch.tanh(y)

    (reason,) = refused(Beside(), CODE, torch.randn(1, 64, 2))
    assert reason.startswith("conv would need a Pad beside the one that others read, and it would ")


def test_a_shared_conv_is_cut_where_all_its_calls_agree():
    """Under two Pads the same tap is left; under a wider one all taps read data."""

    class Twice(nn.Module):
        def __init__(self, sides):
            super().__init__()
            self.conv, self.sides = nn.Conv2d(4, 4, 3), sides

        def forward(self, x):
            y = self.conv(F.pad(torch.relu(x), (1, 1, 1, 1)))
            return y, self.conv(F.pad(torch.tanh(x), self.sides))

    x = torch.randn(1, 4, 1, 1)
    made = applied(Twice((1, 1, 1, 1)), CODE, x)
    assert sum(p.numel() for p in made.module.parameters()) == 4 * 4 + 4
    assert set(refused(Twice((2, 2, 2, 2)), CODE, x)) == {
        "conv uses the same weight where other taps live"
    }


@pytest.mark.parametrize(
    "pad",
    [
        nn.ConstantPad2d(1, 0.5),
        nn.ReplicationPad2d(1),
        nn.CircularPad2d(1),
        _Call(lambda x: F.pad(x, (1, 1, 1, 1), value=-1e-3)),
        _Call(lambda x: F.pad(x, (1, 1, 1, 1), mode="replicate")),
    ],
)
def test_other_borders_than_zeros_are_data(pad):
    """A constant, a mirror, a wrap: the taps read it, and without them the result is another."""
    model = scrambled(nn.Sequential(pad, nn.Conv2d(2, 2, 3)))
    x = torch.randn(1, 2, 1, 1)
    assert fires(model, CODE, x) == 0
    conv = model[1]
    cut = F.conv2d(x, conv.weight[:, :, 1:2, 1:2], conv.bias)
    assert not torch.allclose(model(x), cut, atol=1e-4)


def test_a_mirror_of_the_conv_over_zeros_is_refused():
    """A conv that mirrors what a Pad padded; without a padding of its own its mode says nothing."""
    model = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(2, 2, 5, padding=2, padding_mode="reflect"))
    assert fires(model, CODE, torch.randn(1, 2, 1, 1)) == 0
    unpadded = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(2, 2, 3, padding_mode="reflect"))
    assert len(applied(unpadded, CODE, torch.randn(1, 2, 1, 1)).changes) == 1


def test_zeros_where_data_was_cropped_are_not_looked_through():
    """A crop and then a padding on the same side: as one padding it would bring the data back."""
    x = torch.randn(1, 2, 3)
    model = scrambled(nn.Sequential(nn.ZeroPad1d((-1, -1)), nn.Conv1d(2, 2, 3, padding=1)))
    made = applied(model, CODE, x)
    assert _targets(made) == ["zeropad1d", "conv1d"]
    assert made.changes
    folded = F.conv1d(x, model[1].weight.float(), model[1].bias.float())
    assert not torch.allclose(model.float()(x), folded, atol=1e-3)


def test_pads_of_channels_and_maps_of_no_batch_are_left_alone():
    """Zeros beside the channels are no border."""
    model = nn.Sequential(_Call(lambda x: F.pad(x, (1, 1, 1, 1, 0, 2))), nn.Conv2d(4, 2, 3))
    assert fires(model, CODE, torch.randn(1, 2, 1, 1)) == 0


def test_transposed_convs_are_not_looked_through():
    """There a Pad is data that the kernel writes from."""
    model = nn.Sequential(nn.ZeroPad1d(3), nn.ConvTranspose1d(2, 2, 3))
    assert fires(model, CODE, torch.randn(1, 2, 1)) == 0


def test_mostly_zeros_of_a_pad_is_information():
    """Under a Pad as under the conv's own padding: 18 % of the products read data."""
    model = nn.Sequential(nn.ZeroPad2d(24), nn.Conv2d(8, 8, 3, dilation=24))
    (finding,) = convlint.lint(model, torch.randn(1, 8, 28, 28), select=(CODE,)).findings
    assert (finding.severity, finding.saving.macs) == ("info", 0)
    assert "18%" in finding.message
    assert "on 28x28 under a Pad" in finding.message
    assert "# on the map before the Pad" in finding.instead
