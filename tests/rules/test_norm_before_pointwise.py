"""CL414: a batch norm goes into the unpadded layer after it."""

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
from tests.rules.runs import findings

CODE = "CL414"


class Chain(nn.Module):
    """An activation, a norm, what stands between, a layer."""

    def __init__(self, norm, layer, between=nn.Identity()):  # noqa: B008
        super().__init__()
        self.norm, self.layer, self.between = norm, layer, between

    def forward(self, x):
        return self.layer(self.between(self.norm(torch.tanh(x))))


def _norm(channels):
    roles = {"weight": False, "bias": False, "running_mean": True, "running_var": True}
    return [Param(f"bn.{r}", f"bn.{r}", (channels,), role=r, buffer=b) for r, b in roles.items()]


@pytest.mark.parametrize("bias", [False, True])
def test_saves_one_pass_over_the_map(bias):
    """Bytes written and read, two operations an element, a kernel; 2 C parameters for a bias."""
    b = Builder(1, 16, 8, 8)
    x = b.add(ir.Norm("batch"), [b.relu(b.x)], (1, 16, 8, 8), params=_norm(16))
    b.conv(x, 4, 1, bias=bias)
    (finding,) = findings(b.graph(), CODE)
    saved, size = finding.saving, 16 * 8 * 8
    extra = 0 if bias else 4
    assert saved.activation_bytes == 4 * size
    assert saved.bytes_read == 4 * size + 4 * 4 * 16 - 4 * extra
    assert saved.other_ops == 2 * size - (0 if bias else 4 * 8 * 8)
    assert (saved.params, saved.kernels, saved.macs) == (2 * 16 - extra, 1, 0)


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(1, 3), stride=st.integers(1, 2),
    dilation=st.integers(1, 2), groups=st.sampled_from([1, 2]), bias=st.booleans(),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]), affine=st.booleans(),
    batch=st.integers(1, 2),
)  # fmt: skip
def test_any_unpadded_conv_keeps_its_outputs(
    axes, k, stride, dilation, groups, bias, mode, affine, batch
):  # fmt: skip
    """Kernels, strides, groups; padding that is made of the map's own values is no padding."""
    conv = getattr(nn, f"Conv{axes}d")(
        4, 6, k, stride, int(mode != "zeros"), dilation, groups, bias, mode
    )
    norm = getattr(nn, f"BatchNorm{axes}d")(4, eps=0.1, affine=affine)
    made = applied(Chain(norm, conv), CODE, torch.randn(batch, 4, *(7,) * axes))
    assert len(made.changes) == 1
    assert len([n for n in made.module.graph.nodes if n.op == "call_module"]) == 2


BETWEEN = {
    "dropout": (nn.Dropout(0.5), nn.Conv2d(4, 5, 1)),
    "flatten": (nn.Flatten(), nn.Linear(4 * 6 * 6, 5)),
    "pool": (nn.Sequential(nn.AvgPool2d(4, 3, ceil_mode=True), nn.Flatten()), nn.Linear(16, 5)),
    "global": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(4, 5)),
    "mean": (lambda x: x.mean((2, 3)), nn.Linear(4, 5)),
    "last": (lambda x: x.permute(0, 2, 3, 1), nn.Linear(4, 5)),
    "tokens": (lambda x: x.flatten(2).transpose(1, 2), nn.Linear(4, 5)),
    "slice": (lambda x: x[:, 1:3, ::2], nn.Conv2d(2, 5, 1)),
    "shuffle": (nn.ChannelShuffle(2), nn.Conv2d(4, 6, 3, groups=2)),
    "flip": (lambda x: x.flip(1).flip(3), nn.Conv2d(4, 5, 3)),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 5, 3)),
    "bicubic": (nn.Upsample(scale_factor=1.5, mode="bicubic"), nn.Conv2d(4, 5, 3)),
    "unshuffle": (nn.PixelUnshuffle(2), nn.Conv2d(16, 5, 1)),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_what_may_stand_between(name):
    """What moves values, or averages those of one channel with weights of sum 1."""
    between, layer = BETWEEN[name]
    made = applied(Chain(nn.BatchNorm2d(4), layer, between), CODE, torch.randn(2, 4, 6, 6))
    assert len(made.changes) == 1


def test_several_layers_read_one_norm():
    """Queries, keys and values: each takes the norm in."""

    class Heads(nn.Module):
        def __init__(self, extra):
            super().__init__()
            self.norm, self.extra = nn.BatchNorm2d(4), extra
            self.q, self.k = nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 4, 1)
            self.v = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            x = self.norm(torch.tanh(x))
            return (self.q(x), self.k(x), self.v(x)) if self.extra else self.q(x) * self.k(x)

    x = torch.randn(2, 4, 6, 6)
    assert len(applied(Heads(False), CODE, x).changes) == 1
    (reason,) = refused(Heads(True), CODE, x)
    assert reason == "v pads with zeros after the norm, which are no zeros before it"


def test_zero_padding_is_refused():
    """A border of zeros is one of zeros after the norm: folded anyway, the border differs."""
    x = torch.randn(2, 4, 6, 6)
    model = scrambled(Chain(nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3, padding=1)))
    (reason,) = refused(model, CODE, x)
    assert "pads with zeros" in reason
    norm, conv = model.norm, model.layer
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    shift = (norm.bias - scale * norm.running_mean).view(1, -1, 1, 1)
    bias = conv.bias + (conv.weight * shift).sum((1, 2, 3))
    folded = F.conv2d(torch.tanh(x), conv.weight * scale.view(1, -1, 1, 1), bias, padding=1)
    inside, expected = folded[:, :, 1:-1, 1:-1], model(x)[:, :, 1:-1, 1:-1]
    assert torch.allclose(inside, expected, atol=1e-3)
    assert not torch.allclose(folded, model(x), atol=1e-3)


def test_transposed_convs_are_refused():
    """Their border positions sum fewer taps, and so fewer shifts."""
    x = torch.randn(2, 4, 6, 6)
    model = scrambled(Chain(nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 5, 3)))
    (reason,) = refused(model, CODE, x)
    assert "transposed" in reason
    with torch.no_grad():
        model.layer.bias.zero_()
        ones = model.layer(torch.ones(1, 4, 6, 6))
    assert not torch.allclose(ones[..., 0, 0], ones[..., 3, 3])


def test_shared_and_scattered_readers_are_refused():
    """A weight with other calls; features that are no whole channels."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            return self.conv(torch.tanh(self.conv(self.norm(torch.tanh(x)))))

    x = torch.randn(2, 4, 6, 6)
    assert refused(Twice(), CODE, x) == ["conv uses the weight of conv too"]
    across = Chain(nn.BatchNorm2d(4), nn.Linear(6, 3))
    assert refused(across, CODE, x) == ["layer does not read whole channels of the norm"]


@pytest.mark.parametrize(
    "between", [nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(3, 1, 1), lambda x: x + 1, nn.ZeroPad2d(1)]
)
def test_what_no_shift_passes_is_silent(between):
    """Activations, maxima, padded means."""
    model = Chain(nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1), between)
    assert fires(model, CODE, torch.randn(2, 4, 6, 6)) == 0


def test_norms_that_a_layer_before_holds_are_silent():
    """Convolution and norm are one already; not where others read the convolution."""

    class Behind(nn.Module):
        def __init__(self, tapped):
            super().__init__()
            self.stem, self.norm, self.tapped = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), tapped
            self.conv = nn.Conv2d(4, 5, 1)

        def forward(self, x):
            x = self.stem(x)
            y = self.conv(self.norm(x))
            return (x, y) if self.tapped else y

    x = torch.randn(2, 3, 6, 6)
    assert fires(Behind(False), CODE, x) == 0
    assert len(applied(Behind(True), CODE, x).changes) == 1


def test_the_bias_that_it_makes_goes_into_the_next_norm():
    """Together with CL406 nothing is left of the first norm but numbers."""
    layer = nn.Sequential(nn.Conv2d(4, 5, 1, bias=False), nn.BatchNorm2d(5))
    model = scrambled(Chain(nn.BatchNorm2d(4), layer)).double()
    x = torch.randn(2, 4, 6, 6).double()
    made = convlint.apply(model, x, rules=(CODE, "CL406"))
    assert made.largest_difference < 1e-9
    assert sum(p.numel() for p in made.module.parameters()) == 4 * 5 + 2 * 5


@pytest.mark.parametrize(
    ("name", "count"), [("inception_next_tiny", 18 + 3), ("resnet18", 0), ("densenet121", 0)]
)
def test_models_of_timm(name, count):
    """InceptionNeXt: 18 norms behind joins with an untouched part, 3 before strided 2x2 convs."""
    stubs.install()
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        model = timm.create_model(name)
    assert fires(model, CODE, torch.zeros(1, 3, 224, 224)) == count
