"""CL406: a bias goes where the norm after it takes it out, and its running mean with it."""

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

CODE = "CL406"


class Pair(nn.Module):
    """A layer, what stands between, a norm."""

    def __init__(self, layer, norm, between=nn.Identity()):  # noqa: B008
        super().__init__()
        self.layer, self.norm, self.between = layer, norm, between

    def forward(self, x):
        return self.norm(self.between(self.layer(x)))


def test_saves_a_parameter_a_channel():
    """Cout parameters and an addition an element, no MACs, no pass over the map."""
    b = Builder(1, 3, 16, 16)
    x = b.conv(b.x, 8, bias=True)
    b.same(ir.Norm("instance", affine=False, running_stats=False), x)
    (finding,) = findings(b.graph(), CODE)
    saved = finding.saving
    assert (saved.params, saved.param_bytes, saved.other_ops) == (8, 32, 8 * 16 * 16)
    assert (saved.macs, saved.activation_bytes, saved.kernels) == (0, 0, 0)
    assert finding.fix[0].name == "bias"


NORMS = {
    "batch": lambda n, c: getattr(nn, f"BatchNorm{n}d")(c, eps=0.1),
    "plain batch": lambda n, c: getattr(nn, f"BatchNorm{n}d")(c, affine=False),
    "no statistics": lambda n, c: getattr(nn, f"BatchNorm{n}d")(c, track_running_stats=False),
    "instance": lambda n, c: getattr(nn, f"InstanceNorm{n}d")(c),
    "stored instance": lambda n, c: getattr(nn, f"InstanceNorm{n}d")(
        c, affine=True, track_running_stats=True
    ),
    "group of one": lambda _, c: nn.GroupNorm(c, c),
}


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(1, 3), stride=st.integers(1, 2),
    padding=st.integers(0, 1), groups=st.sampled_from([1, 2]), transposed=st.booleans(),
    norm=st.sampled_from(sorted(NORMS)), dropout=st.booleans(), batch=st.integers(1, 2),
)  # fmt: skip
def test_any_layer_keeps_its_outputs(
    axes, k, stride, padding, groups, transposed, norm, dropout, batch
):  # fmt: skip
    """Convolutions of every kind before every norm that has a mean a channel."""
    name = f"Conv{'Transpose' if transposed else ''}{axes}d"
    conv = getattr(nn, name)(4, 6, k, stride, padding, groups=groups)
    between = nn.Dropout(0.5) if dropout else nn.Identity()
    model = Pair(conv, NORMS[norm](axes, 6), between)
    before = sum(p.numel() for p in model.parameters())
    made = applied(model, CODE, torch.randn(batch, 4, *(7,) * axes))
    assert len(made.changes) == 1
    assert sum(p.numel() for p in made.module.parameters()) == before - 6


@pytest.mark.parametrize(
    ("between", "norm", "shape"),
    [
        (nn.Identity(), nn.BatchNorm1d(6), (5, 4)),
        (lambda x: x.flatten(0, 1), nn.BatchNorm1d(6), (2, 3, 4)),
        (lambda x: x.transpose(1, 2), nn.BatchNorm1d(6), (2, 3, 4)),
        (lambda x: x.permute(0, 3, 1, 2), nn.InstanceNorm2d(6), (2, 3, 5, 4)),
        (lambda x: x.transpose(1, 2), nn.LayerNorm(3), (2, 3, 4)),
    ],
)
def test_linear_layers(between, norm, shape):
    """The features are followed to the norm's channels."""
    made = applied(Pair(nn.Linear(4, 6), norm, between), CODE, torch.randn(*shape))
    assert len(made.changes) == 1


def test_functional_calls():
    """Bare parameters and F.batch_norm with an eps of its own."""

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.b = nn.Parameter(torch.ones(4, 3, 3, 3)), nn.Parameter(torch.ones(4))
            self.register_buffer("running_mean", torch.zeros(4))
            self.register_buffer("running_var", torch.ones(4))

        def forward(self, x):
            x = F.conv2d(x, self.w, self.b)
            return F.batch_norm(x, self.running_mean, self.running_var, eps=0.5)

    made = applied(Functional(), CODE, torch.randn(2, 3, 6, 6))
    assert len(made.changes) == 1
    report = convlint.lint(Functional(), torch.zeros(2, 3, 6, 6), select=(CODE,))
    assert report.findings[0].fix == ()


@pytest.mark.parametrize(
    ("norm", "reason"),
    [
        (nn.GroupNorm(2, 6), "a group norm takes one mean over 3 channels, and the bias stays"),
        (nn.GroupNorm(1, 6), "a group norm takes one mean over 6 channels, and the bias stays"),
        (nn.LayerNorm([6, 5, 5]), "a layer norm takes one mean over all channels"),
    ],
)
def test_norms_over_several_channels_keep_the_bias(norm, reason):
    """Leaving the bias out there is another function."""
    x = torch.randn(2, 3, 5, 5)
    model = scrambled(Pair(nn.Conv2d(3, 6, 1), norm))
    (found,) = refused(model, CODE, x)
    assert reason in found
    assert not torch.allclose(model(x), norm(F.conv2d(x, model.layer.weight)), atol=1e-3)


def test_features_that_are_not_the_channels():
    """A linear layer over the last axis, a norm over the second."""
    model = scrambled(Pair(nn.Linear(4, 6), nn.BatchNorm1d(3)))
    x = torch.randn(2, 3, 4)
    assert refused(model, CODE, x) == ["the norm's channels are not those of the layer"]
    assert not torch.allclose(model(x), model.norm(F.linear(x, model.layer.weight)), atol=1e-3)


@pytest.mark.parametrize("between", [nn.ReLU(), nn.ZeroPad2d(1), lambda x: x + x.flip(3)])
def test_what_stands_between_is_silent(between):
    """The norm does not see the bias as a constant of the channel."""
    model = scrambled(Pair(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), between))
    x = torch.randn(2, 3, 5, 5)
    assert (fires(model, CODE, x), refused(model, CODE, x)) == (0, [])
    shift = model.layer.bias[:, None, None]
    wrong = between(F.conv2d(x, model.layer.weight)) + shift
    assert not torch.allclose(model(x), model.norm(wrong), atol=1e-3)


def test_tapped_results_keep_the_bias():
    """A conv that is returned too is another tensor without its bias."""
    b = Builder(1, 3, 8, 8)
    x = b.conv(b.x, 4, bias=True, module="conv")
    y = b.same(ir.Norm("instance"), x)
    assert reasons(b.graph(x, y), CODE) == ["others read the result of conv too"]


class Shared(nn.Module):
    """Two calls of a conv and a norm, of one of the two, or with another partner."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.conv, self.norm = kind, nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.other_conv, self.other_norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x)))
        if self.kind == "both":
            return self.norm(self.conv(y))
        if self.kind == "conv alone":
            return self.conv(y)
        if self.kind == "other conv":
            return self.norm(self.other_conv(y))
        return self.other_norm(self.conv(y))


def test_shared_pairs():
    """Calls of the same two share the new weights; an odd call refuses them."""
    x = torch.randn(2, 3, 5, 5)
    assert len(applied(Shared("both"), CODE, x).changes) == 2
    assert refused(Shared("conv alone"), CODE, x) == ["conv is also called without this norm"]
    assert "norm is also called on another layer" in refused(Shared("other conv"), CODE, x)
    assert "conv is also called without this norm" in refused(Shared("other norm"), CODE, x)


def test_a_computed_weight_is_refused():
    """Weight norm has more parameters than a weight and a bias."""
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 1))
    model = Pair(conv, nn.BatchNorm2d(4))
    (reason,) = refused(model, CODE, torch.randn(1, 3, 4, 4))
    assert reason == "its weight or bias is computed in forward"


@pytest.mark.parametrize(
    ("package", "name", "count"),
    [
        ("torchvision", "vgg16_bn", 13), ("torchvision", "vgg16", 0), ("torchvision", "resnet50", 0),
        ("torchvision", "densenet121", 0), ("timm", "hrnet_w18", 4), ("timm", "starnet_s1", 35),
        ("timm", "rexnet_100", 13), ("timm", "resnest14d", 4),
    ],
)  # fmt: skip
def test_models_of_the_zoos(package, name, count):
    """VGG with batch norm, and convs in newer nets that keep the default bias."""
    stubs.install()
    module = pytest.importorskip(package)
    make = module.create_model if package == "timm" else module.models.get_model
    with torch.device("meta"):
        model = make(name)
    assert fires(model, CODE, torch.zeros(1, 3, 224, 224)) == count
