"""CL405: nearest upsampling and a convolution are one transposed convolution, borders included."""

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
from tests.rules.runs import findings, reasons

CODE = "CL405"


@pytest.mark.parametrize(
    ("k", "r", "share"), [(3, 2, 0.56), (5, 2, 0.64), (3, 4, 0.75), (3, 3, 0.69)]
)
def test_saves_what_the_formula_says(k, r, share):
    """1 - ((k + r - 1) / (r k))^2 of the layer's MACs; weights grow by ((k + r - 1) / k)^2."""
    b = Builder(1, 8, 16, 16)
    up = b.add(ir.Upsample("nearest", (float(r), float(r))), [b.x], (1, 8, 16 * r, 16 * r))
    b.conv(up, 12, k)
    (finding,) = findings(b.graph(), CODE)
    macs = (16 * r) ** 2 * 8 * 12 * k * k
    assert finding.saving.macs == macs - 16 * 16 * 8 * 12 * (k + r - 1) ** 2
    assert finding.saving.macs / macs == pytest.approx(share, abs=0.006)
    assert finding.saving.params == 8 * 12 * (k * k - (k + r - 1) ** 2)


class Up(nn.Module):
    """Upsampling by factors, then a layer."""

    def __init__(self, layer, scale, mode="nearest"):
        super().__init__()
        self.layer, self.scale, self.mode = layer, scale, mode

    def forward(self, x):
        size = [n * s for n, s in zip(x.shape[2:], self.scale, strict=True)]
        return self.layer(F.interpolate(x, size=size, mode=self.mode))


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.sampled_from([(3,), (5,), (1, 3), (3, 1), (7,), (2,), (4, 3)]),
    narrow=st.integers(0, 2),
    scale=st.lists(st.integers(1, 4), min_size=3, max_size=3), groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(), batch=st.integers(1, 2), norm=st.booleans(),
    mode=st.sampled_from(["nearest", "nearest-exact"]),
)  # fmt: skip
def test_any_layer_keeps_its_outputs(axes, k, narrow, scale, groups, bias, batch, norm, mode):
    """Borders included, whatever kernel, padding, factor of each axis, groups and dimension."""
    kernel = tuple((k * 3)[:axes])
    padding = tuple(max(0, n - 1 - narrow) for n in kernel)
    conv = getattr(nn, f"Conv{axes}d")(4, 8, kernel, padding=padding, groups=groups, bias=bias)
    layer = nn.Sequential(conv, getattr(nn, f"BatchNorm{axes}d")(8)) if norm else conv
    x = torch.randn(batch, 4, *(8, 7, 7)[:axes])
    made = applied(Up(layer, scale[:axes], mode), CODE, x)
    pays = max(scale[:axes]) > 1 and max(kernel) > 1
    assert len(made.changes) <= pays
    assert made.largest_difference is None or made.largest_difference < 1e-12


@pytest.mark.parametrize("order", ["us", "su", "uus", "sus", "uu", "uss"])
@pytest.mark.parametrize("bias", [False, True])
def test_through_a_concatenation(order, bias):
    """Each upsampled part by itself, the rest by one conv; the bias once."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(
                sum(12 if c == "u" else 2 for c in order), 5, 3, padding=1, bias=bias
            )

        def forward(self, low, skip):
            parts = []
            for place, kind in enumerate(order):
                part = low * (place + 1) if kind == "u" else skip + place
                parts.append(F.interpolate(part, scale_factor=2) if kind == "u" else part)
            return self.conv(torch.cat(parts, 1))

    made = applied(Block(), CODE, torch.randn(2, 12, 4, 5), torch.randn(2, 2, 8, 10))
    assert len(made.changes) == 1


class Then(nn.Module):
    """A function of a module and its input, with layers to use."""

    def __init__(self, function, channels=4, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1, groups=groups)
        self.other = nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.act = nn.BatchNorm2d(4), nn.PReLU(4)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def _grown(x):
    return F.interpolate(x, scale_factor=2)


BETWEEN = {
    "dropout": lambda m, x: m.conv(F.dropout(_grown(x), training=False)),
    "norm and activation": lambda m, x: m.conv(m.act(m.norm(_grown(x)))),
    "numbers": lambda m, x: m.conv(torch.sin(_grown(x) * 2 + 1)),
    "before a concatenation": lambda m, x: m.conv(torch.cat([m.act(_grown(x)), _grown(x)], 1)),
    "twice the same": lambda m, x: (lambda y: m.conv(torch.cat([y, y], 1)))(m.act(_grown(x))),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_operations_between_work_on_the_small_map(name):
    """Copies stay copies under what each value meets alone, borders included."""
    channels = 8 if "cat" in name or "twice" in name else 4
    made = applied(Then(BETWEEN[name], channels), CODE, torch.randn(2, 4, 5, 4))
    assert len(made.changes) == 1
    assert made.report.after.exact.activation_bytes < made.report.totals.activation_bytes


@pytest.mark.parametrize("layer", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
@pytest.mark.parametrize("joined", [False, True])
def test_the_code_to_write_makes_the_kernel(layer, joined):
    """The finding's lines, run on the old weights, give what the transposed layer needs."""
    axes = int(layer.__name__[-2])

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = layer(18 if joined else 16, 4, 3, padding=1)

        def forward(self, low, *skips):
            return self.conv(torch.cat([*skips, F.interpolate(low, scale_factor=3)], 1))

    model, low = Net(), torch.randn(1, 16, *(4,) * axes)
    inputs = (low, torch.randn(1, 2, *(12,) * axes)) if joined else (low,)
    (finding,) = convlint.lint(model, *inputs, select=(CODE,)).findings
    first, *lines = finding.instead.splitlines()
    up = eval(first.partition("# up = ")[2] or first)
    new: dict[str, torch.Tensor] = {}
    exec("\n".join(lines), {"torch": torch, "F": F, "old": model.state_dict(), "new": new})
    weight = model.conv.weight[:, -16:]
    bias = None if up.bias is None else model.conv.bias
    function = getattr(F, f"conv_transpose{axes}d")
    found = function(low, new["up.weight"], bias, up.stride, up.padding)
    expected = getattr(F, f"conv{axes}d")(F.interpolate(low, scale_factor=3), weight, bias, 1, 1)
    assert torch.allclose(found, expected, atol=1e-5)


ELSEWHERE = {
    "fraction": (lambda m, x: m.conv(F.interpolate(x, scale_factor=2.3)), (3, 3)),
    "over 40": (lambda m, x: m.conv(F.interpolate(x, scale_factor=41)), (3, 3)),
    "layer": (lambda m, x: m.conv(_grown(torch.relu(m.conv(x)))), (4, 4)),
    "map": (lambda m, x: (lambda y: (m.conv(y), m.other(y)))(_grown(x)), (4, 4)),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_copies_that_are_uneven_and_what_is_used_elsewhere(name):
    """2.3 makes 6 of 3 positions, unevenly; 41 copies of a value are 40 and 42 in float32."""
    function, size = ELSEWHERE[name]
    assert fires(Then(function), CODE, torch.randn(1, 4, *size)) == 0
    x = torch.randn(1, 1, 7)
    for factor in (2.3, 41):
        grown = F.interpolate(x, scale_factor=factor)
        assert not torch.equal(grown, x.repeat_interleave(int(factor), 2)[..., : grown.shape[2]])


def test_few_upsampled_channels_do_not_pay_for_the_sum():
    """Of 68 channels 4 grew: the sum of two maps of 64 moves more than that."""
    b = Builder(1, 4, 8, 8)
    up = b.add(ir.Upsample("nearest", (2.0, 2.0)), [b.x], (1, 4, 16, 16))
    skip = b.add(ir.Input("skip"), (), (1, 64, 16, 16))
    b.conv(b.add(ir.Concat(1), [up, skip], (1, 68, 16, 16)), 64, 3)
    (reason,) = reasons(b.graph(), CODE)
    assert "MACs for each, under 4" in reason


def test_a_shared_layer_keeps_one_kernel():
    """Two calls of one conv on upsampled maps share the new kernel."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            x = torch.relu(self.conv(F.interpolate(x, scale_factor=2)))
            return self.conv(F.interpolate(x, scale_factor=2))

    made = applied(Twice(), CODE, torch.randn(1, 4, 4, 4))
    assert len(made.changes) == 2
    assert sum(p.numel() for p in made.module.parameters()) == 4 * 4 * 16 + 4


REFUSALS = {
    "stride": (nn.Conv2d(4, 4, 3, 2, 1), (2, 2), "nearest", "stride 2"),
    "dilation": (nn.Conv2d(4, 4, 3, 1, 2, 2), (2, 2), "nearest", "dilation 2"),
    "padding": (nn.Conv2d(4, 4, 3, padding=3), (2, 2), "nearest", "wider than 3x3"),
    "reflect": (
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        (2, 2),
        "nearest",
        "reflect",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused(name):
    """Each with its value; the transposed form made anyway gives other numbers or another size."""
    layer, scale, mode, reason = REFUSALS[name]
    model, x = Up(layer, scale, mode), torch.randn(1, 4, 5, 5)
    assert fires(model, CODE, x) == 0
    assert any(reason in text for text in refused(model, CODE, x))
    from convlint_rules.conv_after_nearest_upsample.apply import summed

    wrong = F.conv_transpose2d(x, summed(layer.weight, scale, 1), layer.bias, scale, 1)
    right = model(x)
    assert wrong.shape != right.shape or not torch.allclose(wrong, right, atol=1e-3)


def test_bilinear_and_fractions_are_no_places():
    """Interpolated values are no copies; a factor of 1.5 copies unevenly."""
    x = torch.randn(1, 4, 6, 6)
    conv = nn.Conv2d(4, 4, 3, padding=1)
    assert fires(Up(conv, (2, 2), "bilinear"), CODE, x) == 0
    odd = nn.Sequential(nn.Upsample(size=(9, 9)), conv)
    assert fires(odd, CODE, x) == 0
    from convlint_rules.conv_after_nearest_upsample.apply import summed

    kernel = summed(conv.weight, (2, 2), 1)
    made = F.conv_transpose2d(x, kernel, conv.bias, 2, 1)
    model = Up(conv, (2, 2), "bilinear")
    assert not torch.allclose(made, model(x), atol=1e-3)


def test_a_map_with_other_readers_and_groups_across_parts():
    """The upsampled map would still be needed; a grouped kernel cannot be cut along channels."""

    class Tapped(nn.Module):
        def __init__(self, groups=1):
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 3, padding=1, groups=groups)

        def forward(self, x):
            grown = F.interpolate(x, scale_factor=2)
            return self.conv(torch.cat([grown, grown * 2], 1)), grown

    x = torch.randn(1, 4, 4, 4)
    assert any("other readers" in text for text in refused(Tapped(), CODE, x))
    assert any("groups=2 across" in text for text in refused(Tapped(2), CODE, x))


@pytest.mark.parametrize("encoder", ["efficientnet-b0", "resnet34"])
def test_unets_of_segmentation_models(encoder):
    """Unet at 512 with 19 classes: every decoder conv that reads upsampled channels, 10/18 of them.

    Five blocks upsample; the last one has no skip. Of each first conv the part over upsampled
    channels falls from 9 to 4 products an output.
    """
    stubs.install()
    smp = pytest.importorskip("segmentation_models_pytorch", reason="smp is not installed")
    model = smp.Unet(encoder, encoder_weights=None, classes=19)
    report = convlint.lint(model, torch.empty(1, 3, 512, 512, device="meta"), select=[CODE])
    widths = (model.encoder.out_channels[-1], 256, 128, 64, 32)
    outs = (256, 128, 64, 32, 16)
    sizes = (32, 64, 128, 256, 512)
    expected = sum(s * s * a * b * 5 for s, a, b in zip(sizes, widths, outs, strict=True))
    assert report.totals.macs - report.after.exact.macs == expected
    assert 100 * expected / report.totals.macs > 10
