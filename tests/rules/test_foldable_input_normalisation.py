"""CL426: how the input is normalised goes into the first layer, the mean only without padding."""

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
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings, reasons

CODE = "CL426"


class Head(nn.Module):
    """What is done to the input, and the first layer; mean and std are at hand."""

    def __init__(self, function, layer, shape=(3, 1, 1)):
        super().__init__()
        self.function, self.layer = function, layer
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def forward(self, x):
        return self.layer(self.function(x, self.mean, self.std))


def _calls(made):
    return [n for n in made.module.graph.nodes if n.op.startswith("call_")]


@pytest.mark.parametrize("padding", [0, 1])
def test_saves_a_pass_for_each_step_that_goes(padding):
    """(x - mean) / std: both, or the division alone before padding."""
    b = Builder(1, 3, 32, 32)
    x = b.x
    for name, op in (("mean", ir.Elementwise("sub")), ("std", ir.Elementwise("div"))):
        stored = [Param(name, name, (3, 1, 1), buffer=True)]
        c = b.add(ir.Constant("buffer", name), (), (3, 1, 1), params=stored)
        x = b.add(op, [x, c], (1, 3, 32, 32))
    b.conv(x, 8, 3, padding=padding, bias=True)
    (finding,) = findings(b.graph(), CODE)
    saved, size, gone = finding.saving, 3 * 32 * 32, 1 if padding else 2
    assert saved.activation_bytes == 4 * size * gone
    assert saved.bytes_read == 4 * (size + 3) * gone
    assert (saved.other_ops, saved.kernels, saved.macs) == (size * gone, gone, 0)


STEPS = {
    "imagenet": (lambda x, m, s: (x - m) / s, 2),
    "scaled": (lambda x, m, s: x / 255, 1),
    "minus one": (lambda x, m, s: x * 2 - 1, 2),
    "three": (lambda x, m, s: (x / 255 - m) / s, 3),
    "affine": (lambda x, m, s: x * s + m, 2),
    "computed": (lambda x, m, s: (x - m.exp()) * s.square().sum(), 2),
    "numbers": (lambda x, m, s: ((x + 1) * 3 - 2) / 0.5, 4),
    "in place": (lambda x, m, s: x.clone().sub_(m).div_(s), 2),
    "copied": (lambda x, m, s: F.dropout(x - m, 0.5, False).contiguous() / s, 2),
}


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(sorted(STEPS)), axes=st.integers(1, 3), k=st.integers(1, 3),
    stride=st.integers(1, 2), padding=st.integers(0, 1), groups=st.sampled_from([1, 3]),
    bias=st.booleans(), mode=st.sampled_from(["zeros", "reflect", "circular"]),
    batch=st.integers(1, 2),
)  # fmt: skip
def test_any_first_conv_keeps_its_outputs(
    name, axes, k, stride, padding, groups, bias, mode, batch
):  # fmt: skip
    """Whatever the steps, their values and the borders."""
    function, _ = STEPS[name]
    conv = getattr(nn, f"Conv{axes}d")(
        3, 6, k, stride, padding, groups=groups, bias=bias, padding_mode=mode
    )
    made = applied(
        Head(function, conv, (3, *(1,) * axes)), CODE, torch.randn(batch, 3, *(6,) * axes)
    )
    assert len(made.changes) == 1
    assert sum(p.numel() for p in made.module.parameters()) >= conv.weight.numel()


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("padding", [0, 1])
def test_what_is_left_of_the_steps(name, padding):
    """Nothing, or one sum before padding."""
    function, steps = STEPS[name]
    model = Head(function, nn.Conv2d(3, 4, 3, padding=padding))
    x = torch.randn(1, 3, 6, 6)
    made = applied(model, CODE, x)
    stays = padding and name != "scaled"
    (finding,) = convlint.lint(model, x.double(), select=(CODE,)).findings
    assert finding.saving.kernels >= steps - stays
    assert made.report.after.exact.macs == made.report.totals.macs
    sums = [n for n in _calls(made) if "add" in str(n.target) or "sub" in str(n.target)]
    assert len(sums) == stays


def test_a_lone_shift_before_padding_is_refused():
    """The border of zeros would move with it: folded anyway, the border differs."""
    x = torch.randn(2, 3, 6, 6)
    model = scrambled(Head(lambda x, m, s: x - m, nn.Conv2d(3, 4, 3, padding=1)))
    assert refused(model, CODE, x) == ["layer pads with zeros, which the shift would move"]
    weight = model.layer.weight
    bias = model.layer.bias - (weight * model.mean).sum((1, 2, 3))
    folded, expected = F.conv2d(x, weight, bias, padding=1), model(x)
    inside = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(folded[inside], expected[inside], atol=1e-4)
    assert not torch.allclose(folded, expected, atol=1e-3)
    unpadded = Head(lambda x, m, s: x - m, nn.Conv2d(3, 4, 3, bias=False))
    assert len(applied(unpadded, CODE, x).changes) == 1


@pytest.mark.parametrize(
    ("function", "layer", "shape", "input_shape"),
    [
        (lambda x, m, s: (x - m) / s, nn.Linear(5, 4), (5,), (2, 3, 5)),
        (lambda x, m, s: ((x - m) / s).permute(0, 3, 1, 2), nn.Conv2d(3, 4, 3), (3,), (2, 5, 5, 3)),
        (lambda x, m, s: ((x - m) / s).unsqueeze(1), nn.Conv2d(1, 4, 3), (1,), (2, 6, 6)),
        (lambda x, m, s: F.interpolate(x, scale_factor=2) / s, nn.Conv2d(3, 4, 3, 1, 1), (3, 1, 1),
         (2, 3, 5, 5)),
        (lambda x, m, s: (x[:, :3].flip(1) - m) / s, nn.Conv2d(3, 4, 3), (3, 1, 1), (2, 4, 5, 5)),
    ],
)  # fmt: skip
def test_channels_are_followed(function, layer, shape, input_shape):
    """Channels last, features, an axis put in, an image resized or flipped before."""
    made = applied(Head(function, layer, shape), CODE, torch.randn(*input_shape))
    assert len(made.changes) == 1


def test_bytes_that_become_numbers():
    """An input of bytes is cast first; divided as it is, the layer could not read it."""
    x = torch.randint(0, 255, (1, 3, 6, 6), dtype=torch.uint8)
    conv = nn.Conv2d(3, 4, 3)
    model = Head(lambda x, m, s: x / 255, conv)
    assert refused(model, CODE, x) == ["the input is uint8, and layer takes float32"]
    assert fires(Head(lambda x, m, s: x.float() / 255, conv), CODE, x) == 1


def test_what_others_read_is_refused():
    """A skip connection, a second layer, a weight that is called again."""

    class Twice(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.conv, self.other, self.kind = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), kind

        def forward(self, x):
            x = x / 255
            y = self.conv(x)
            if self.kind == "skip":
                return x + y
            return self.other(x) + y if self.kind == "layer" else self.conv(torch.tanh(y))

    x = torch.randn(1, 3, 6, 6)
    assert refused(Twice("skip"), CODE, x) == ["others read the normalised input too"]
    assert set(refused(Twice("layer"), CODE, x)) == {"others read the normalised input too"}
    assert refused(Twice("weight"), CODE, x) == ["conv uses the same weight"]


def test_a_transposed_conv_is_refused():
    """Its border positions sum fewer taps."""
    b = Builder(1, 3, 6, 6)
    x = b.same(ir.Add(0.5), b.same(ir.Mul(2.0), b.x))
    b.conv(x, 3, 3, transposed=True, module="up")
    assert reasons(b.graph(), CODE) == ["up is a transposed conv"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x, m, s: (x - x.mean()) / x.std(),
        lambda x, m, s: torch.tanh(x) / s,
        lambda x, m, s: 1 - x,
        lambda x, m, s: x * torch.rand(3, 1, 1),
        lambda x, m, s: x / torch.ones(3, 6, 6).cumsum(1),
        lambda x, m, s: torch.div(x, 2, rounding_mode="floor"),
    ],
)
def test_what_is_no_constant_step_is_silent(function):
    """Statistics of the input, curves, random and local factors."""
    x = torch.randn(1, 3, 6, 6)
    model = Head(function, nn.Conv2d(3, 4, 3))
    assert (fires(model, CODE, x), refused(model, CODE, x)) == (0, [])
