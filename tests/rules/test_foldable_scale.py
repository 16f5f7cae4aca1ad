"""CL413: a constant factor goes into the weights of the layer before it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convlint
from convlint.ir import nodes as ir
from convlint.ir.nodes import Param
from convlint.tracing import stubs
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings, reasons

CODE = "CL413"


class Scaled(nn.Module):
    """A layer, what stands between, a product."""

    def __init__(self, layer, factor, between=nn.Identity()):  # noqa: B008
        super().__init__()
        self.layer, self.between = layer, between
        self.factor = nn.Parameter(factor) if torch.is_tensor(factor) else factor

    def forward(self, x):
        return self.between(self.layer(x)) * self.factor


@pytest.mark.parametrize("parameter", [False, True])
def test_saves_one_pass_over_the_map(parameter):
    """Bytes written and read, an operation an element, a kernel, and the factor's parameters."""
    b = Builder(1, 3, 32, 32)
    x = b.conv(b.x, 8, bias=True)
    if parameter:
        stored = [Param("gamma", "gamma", (8, 1, 1))]
        gamma = b.add(ir.Constant("parameter", "gamma"), (), (8, 1, 1), params=stored)
        b.add(ir.Mul(), [x, gamma], (1, 8, 32, 32))
    else:
        b.same(ir.Mul(0.5), x)
    (finding,) = findings(b.graph(), CODE)
    saved, size = finding.saving, 8 * 32 * 32
    assert saved.activation_bytes == 4 * size
    assert saved.bytes_read == 4 * size + 4 * 8 * parameter
    assert (saved.other_ops, saved.kernels, saved.macs) == (size, 1, 0)
    assert saved.params == 8 * parameter


BETWEEN = {
    "nothing": nn.Identity(),
    "dropout": nn.Dropout2d(0.5),
    "average": nn.AvgPool2d(3, 2, 1),
    "adaptive": nn.AdaptiveAvgPool2d(1),
    "nearest": nn.Upsample(scale_factor=2),
    "bicubic": nn.Upsample(scale_factor=2, mode="bicubic"),
    "zeros": nn.ZeroPad2d(2),
    "reflected": nn.ReflectionPad2d(1),
}
POSITIVE = {
    "relu": nn.ReLU(),
    "leaky": nn.LeakyReLU(0.3),
    "prelu": nn.PReLU(),
    "max": nn.MaxPool2d(3, 2, 1),
}
CURVED = {
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "relu6": nn.ReLU6(),
    "sigmoid": nn.Sigmoid(),
    "ones": nn.ConstantPad2d(1, 1.0),
    "group norm": nn.GroupNorm(2, 4),
}


@pytest.mark.parametrize("name", BETWEEN)
@pytest.mark.parametrize("factor", [-0.3, torch.ones(4, 1, 1), torch.ones(1)])
def test_what_any_factor_passes(name, factor):
    """Linear maps of each channel; the sign of the factor does not matter."""
    model = Scaled(nn.Conv2d(3, 4, 3, padding=1), factor, BETWEEN[name])
    assert len(applied(model, CODE, torch.randn(2, 3, 8, 8)).changes) == 1


@pytest.mark.parametrize("name", POSITIVE)
def test_what_positive_numbers_pass(name):
    """ReLU and max pooling; a negative number, or one that is not known, is refused."""
    x, between = torch.randn(2, 3, 8, 8), POSITIVE[name]
    for factor in (-0.3, torch.ones(4, 1, 1)):
        (reason,) = refused(Scaled(nn.Conv2d(3, 4, 3), factor, between), CODE, x)
        assert "known to be positive" in reason
    model = scrambled(Scaled(nn.Conv2d(3, 4, 3), -0.3, between))
    assert not torch.allclose(model(x), between(-0.3 * model.layer(x)), atol=1e-3)
    assert len(applied(Scaled(nn.Conv2d(3, 4, 3), 0.3, between), CODE, x).changes) == 1


@pytest.mark.parametrize("name", CURVED)
def test_what_no_factor_passes(name):
    """The rewrite would be another function."""
    x = torch.randn(2, 3, 8, 8)
    model = scrambled(Scaled(nn.Conv2d(3, 4, 3), 0.3, CURVED[name]))
    assert len(refused(model, CODE, x)) == 1
    assert not torch.allclose(model(x), CURVED[name](0.3 * model.layer(x)), atol=1e-3)


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(1, 3), stride=st.integers(1, 2),
    padding=st.integers(0, 1), groups=st.sampled_from([1, 2]), bias=st.booleans(),
    mode=st.sampled_from(["zeros", "reflect", "circular"]), transposed=st.booleans(),
    norm=st.booleans(), kind=st.sampled_from(["number", "one", "channels"]), batch=st.integers(1, 2),
)  # fmt: skip
def test_any_layer_keeps_its_outputs(
    axes, k, stride, padding, groups, bias, mode, transposed, norm, kind, batch
):  # fmt: skip
    """Convolutions of every kind, with and without a batch norm behind them."""
    name = f"Conv{'Transpose' if transposed else ''}{axes}d"
    mode = "zeros" if transposed else mode
    layer = getattr(nn, name)(
        4, 6, k, stride, padding, groups=groups, bias=bias, padding_mode=mode
    )  # fmt: skip
    if norm:
        layer = nn.Sequential(layer, getattr(nn, f"BatchNorm{axes}d")(6))
    taps = (1,) * axes
    factor = {"number": -0.7, "one": torch.ones(()), "channels": torch.ones(6, *taps)}[kind]
    made = applied(Scaled(layer, factor), CODE, torch.randn(batch, 4, *(6,) * axes))
    assert len(made.changes) == 1
    called = [n for n in made.module.graph.nodes if n.op.startswith("call_")]
    assert len(called) == 2 + norm


@pytest.mark.parametrize(
    ("between", "factor"),
    [
        (lambda x: x.permute(0, 3, 1, 2), torch.ones(6, 1, 1)),
        (lambda x: x.permute(0, 3, 1, 2).flatten(2), torch.ones(1, 6, 1)),
        (lambda x: x.flatten(1, 2), torch.ones(6)),
        (lambda x: x.unsqueeze(1), torch.ones(6)),
        (lambda x: x.mean((1, 2)), torch.ones(6)),
        (lambda x: x.flatten(1), 0.25),
    ],
)
def test_linear_layers_behind_moves(between, factor):
    """The channels are followed through permutations, reshapes and means."""
    made = applied(Scaled(nn.Linear(5, 6), factor, between), CODE, torch.randn(2, 4, 3, 5))
    assert len(made.changes) == 1


def test_factors_that_are_computed_and_divided_by():
    """Values that parameters make, divided by a buffer, written in place, by a function's layer."""

    class Computed(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.g = nn.Parameter(torch.ones(4, 3, 1)), nn.Parameter(torch.ones(4))
            self.fc = nn.Linear(8, 4)
            self.register_buffer("size", torch.ones(4))

        def forward(self, x):
            x = F.conv1d(x, self.w).mul_(F.softplus(self.g).view(1, -1, 1))
            return self.fc(torch.tanh(x)) / self.size

    made = applied(Computed(), CODE, torch.randn(2, 3, 8))
    assert len(made.changes) == 2
    assert "g" not in dict(made.module.named_parameters())


@pytest.mark.parametrize(
    ("between", "factor", "reason"),
    [
        (nn.Identity(), torch.ones(4, 6, 6), "the factor of 4x6x6 varies over more than one axis"),
        (nn.Identity(), torch.ones(6), "the factor of 6 does not vary over the layer's channels"),
        (nn.ZeroPad3d((0, 0, 0, 0, 1, 1)), torch.ones(6, 1, 1), "does not vary over"),
        (lambda x: x.flatten(1), torch.ones(144), "does not vary over the layer's channels"),
    ],
)
def test_factors_of_other_shapes(between, factor, reason):
    """A factor that differs from position to position has no place in a kernel."""
    model = Scaled(nn.Conv2d(3, 4, 3, padding=1), factor, between)
    (found,) = refused(model, CODE, torch.randn(1, 3, 6, 6))
    assert reason in found


def test_shared_layers_and_factors():
    """Calls of one layer with one factor share the new weights; other uses refuse all."""

    class Shared(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.conv, self.kind = nn.Conv2d(3, 3, 1), kind
            self.gamma, self.other = nn.Parameter(torch.ones(3, 1, 1)), nn.Conv2d(3, 3, 1)

        def forward(self, x):
            y = self.gamma * self.conv(x)
            if self.kind == "same":
                return self.gamma * self.conv(torch.tanh(y))
            if self.kind == "layer":
                return self.conv(torch.tanh(y))
            if self.kind == "factor":
                return self.gamma * torch.tanh(y)
            return y, self.gamma.sum()

    x = torch.randn(1, 3, 4, 4)
    made = applied(Shared("same"), CODE, x)
    assert len(made.changes) == 2
    assert sum(p.numel() for p in made.module.parameters()) == 12 + 12 + 3
    for kind, what in (
        ("layer", "the layer"),
        ("factor", "the factor"),
        ("returned", "the factor"),
    ):
        (reason,) = refused(Shared(kind), CODE, x)
        assert f"uses {what} too" in reason


def test_tapped_tensors_and_norms_without_weights():
    """A map that others read stays as it is."""
    b = Builder(1, 3, 8, 8)
    x = b.conv(b.x, 4)
    y = b.same(ir.Mul(0.5), x)
    assert reasons(b.graph(x, y), CODE) == ["others read the result of conv1 too"]
    plain = Scaled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False)), 0.5)
    (reason,) = refused(plain, CODE, torch.randn(1, 3, 4, 4))
    assert "no weight" in reason


@pytest.mark.parametrize(
    "function",
    [
        lambda x, conv: conv(x) * torch.rand(4, 1, 1),
        lambda x, conv: conv(x) * x.mean(),
        lambda x, conv: 3 / conv(x),
        lambda x, conv: torch.div(conv(x), 3, rounding_mode="floor"),
        lambda x, conv: (conv(x) + 1) * 3,
        lambda x, conv: conv(x).softmax(1) * 3,
    ],
)
def test_what_is_no_constant_factor_is_silent(function):
    """Random and computed factors, inverses, other layers between."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return function(x, self.conv)

    x = torch.randn(1, 3, 4, 4)
    assert (fires(Model(), CODE, x), refused(Model(), CODE, x)) == (0, [])


def test_frozen_batch_norm_is_silent():
    """Its factor makes its shift too: it is a norm, not a scale."""
    stubs.install()
    ops = pytest.importorskip("torchvision.ops")
    model = nn.Sequential(nn.Conv2d(3, 4, 1), ops.FrozenBatchNorm2d(4))
    assert fires(model, CODE, torch.randn(1, 3, 8, 8)) == 0


CONVNEXT = 3 * (96 * 56**2 + 192 * 28**2 + 3 * 384 * 14**2 + 768 * 7**2)
INCEPTION_RESNET = 10 * (320 * 35**2 + 2 * 1088 * 17**2 + 2080 * 8**2)


@pytest.mark.parametrize(
    ("name", "count", "size", "elements"),
    [
        ("convnext_tiny", 18, 224, CONVNEXT),
        ("inception_resnet_v2", 40, 299, INCEPTION_RESNET),
        ("resnet18", 0, 64, 0),
    ],
)
def test_models_of_timm(name, count, size, elements):
    """Layer scales of ConvNeXt, scaled residuals of Inception-ResNet: each a map less to write."""
    stubs.install()
    timm = pytest.importorskip("timm")
    report = convlint.lint(timm.create_model(name), torch.zeros(1, 3, size, size), select=(CODE,))
    assert sum(finding.sites for finding in report.findings) == count
    saved = report.totals.activation_bytes - report.after.exact.activation_bytes
    assert saved == 4 * elements
