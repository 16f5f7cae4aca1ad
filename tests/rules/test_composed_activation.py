"""CL425: activations written step by step become the one call that torch has."""

from __future__ import annotations

import math

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
from tests.rules.runs import findings

CODE = "CL425"


class Net(nn.Module):
    """A conv, a function, a conv."""

    def __init__(self, function, axes=2):
        super().__init__()
        kind = getattr(nn, f"Conv{axes}d")
        self.first, self.last, self.function = kind(3, 4, 1), kind(4, 4, 1), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


COMPOSED = {
    "swish": (lambda x: x * torch.sigmoid(x), "silu", 1),
    "swish turned": (lambda x: x.sigmoid() * x, "silu", 1),
    "swish in place": (lambda x: x.mul_(x.sigmoid()), "silu", 1),
    "swish layer": (lambda x, gate=nn.Sigmoid(): x * gate(x), "silu", 1),  # noqa: B008
    "swish copied": (lambda x: x * F.dropout(torch.sigmoid(x), 0.5, False), "silu", 1),
    "swish by exp": (lambda x: x / (1 + torch.exp(-x)), "silu", 3),
    "swish by exp, times": (lambda x: x / (torch.exp(-1.0 * x) + 1), "silu", 3),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), "mish", 2),
    "mish by log1p": (lambda x: torch.log1p(x.exp()).tanh() * x, "mish", 3),
    "mish by log": (lambda x: x * torch.tanh(torch.log(1 + torch.exp(x))), "mish", 4),
    "hardswish": (lambda x: x * F.relu6(x + 3) / 6, "hardswish", 3),
    "hardswish grouped": (lambda x: x * (F.relu6(3 + x) / 6.0), "hardswish", 3),
    "hardswish first": (lambda x: (x / 6) * F.relu6(x + 3), "hardswish", 3),
    "hardswish gate": (lambda x: x * F.hardsigmoid(x), "hardswish", 1),
    "hardsigmoid": (lambda x: F.relu6(x + 3) / 6, "hardsigmoid", 2),
    "hardsigmoid in place": (lambda x: F.relu6(x + 3, inplace=True).div_(6), "hardsigmoid", 2),
    "gelu": (lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))), "gelu", 4),
    "gelu grouped": (lambda x: 0.5 * (x * (torch.erf(x * 0.7071067811865476) + 1)), "gelu", 4),
}
K = math.sqrt(2 / math.pi)
TANH_GELU = {
    "cube": (lambda x: 0.5 * x * (1 + torch.tanh(K * (x + 0.044715 * x**3))), 7),
    "torch.pow": (lambda x: x * 0.5 * (1.0 + (K * (x + 0.044715 * torch.pow(x, 3.0))).tanh()), 7),
    "digits": (lambda x: 0.5 * (x * (F.tanh((x**3 * 0.044715 + x) * 0.7978845608) + 1)), 7),
    "products": (lambda x: 0.5 * x * (1 + torch.tanh(K * (x + 0.044715 * x * x * x))), 8),
    "factored": (lambda x: 0.5 * x * (1 + torch.tanh(x * K * (1 + 0.044715 * x * x))), 8),
    "of a square": (lambda x: 0.5 * x * (1 + torch.tanh(K * x * (1 + 0.044715 * x.square()))), 8),
    "expanded": (lambda x: x * 0.5 * (1 + torch.tanh(K * x + K * 0.044715 * x**3)), 7),
    "less": (lambda x: 0.5 * x * (1 + torch.tanh(K * (x - x * x * x * -0.044715))), 8),
    "sigmoid": (lambda x: x * torch.sigmoid(2 * K * (x + 0.044715 * x**3)), 5),
}
COMPOSED |= {f"tanh gelu, {name}": (fn, "gelu", steps) for name, (fn, steps) in TANH_GELU.items()}
OTHERS = {
    "another map": lambda x: x * torch.sigmoid(x.flip(1)),
    "squared": lambda x: x * x * torch.sigmoid(x),
    "scaled": lambda x: 2.0 * torch.sigmoid(x) + 0 * x,
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "softplus of 2": lambda x: x * torch.tanh(F.softplus(x, 2)),
    "relu6 of 2": lambda x: x * F.relu6(x + 2) / 6,
    "sixth in four digits": lambda x: x * F.relu6(x + 3) * 0.1667,
    "relu": lambda x: x * F.relu(x + 3) / 6,
    "half erf": lambda x: 0.5 * x * (1 + torch.erf(x / 1.4)),
    "other gate": lambda x: x * torch.tanh(x),
    "turned quotient": lambda x: (1 + torch.exp(-x)) / x,
    "exp of x": lambda x: x / (1 + torch.exp(x)),
    "other cube": lambda x: 0.5 * x * (1 + torch.tanh(K * (x + 0.0447 * x**3))),
    "other slope": lambda x: 0.5 * x * (1 + torch.tanh(0.797 * (x + 0.044715 * x**3))),
    "square in the tanh": lambda x: 0.5 * x * (1 + torch.tanh(K * (x + 0.044715 * x**2))),
    "fifth power": lambda x: 0.5 * x * (1 + torch.tanh(K * (x + 0.044715 * x**3 * x * x))),
    "cube of another": lambda x: 0.5 * x * (1 + torch.tanh(K * (x + 0.044715 * x.flip(1) ** 3))),
    "shifted": lambda x: 0.5 * x * (1 + torch.tanh(K * (x + 0.1 + 0.044715 * x**3))),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_every_spelling(name):
    """Found, replaced by one call, equal in float64; a kernel less for each other step."""
    function, fn, steps = COMPOSED[name]
    x = torch.randn(2, 3, 6, 6)
    (finding,) = convlint.lint(Net(function), x, select=(CODE,)).findings
    assert finding.saving.kernels == steps
    assert finding.saving.activation_bytes == 4 * steps * 2 * 4 * 36
    made = applied(Net(function), CODE, x)
    assert len(made.changes) == 1
    (call,) = [n for n in made.module.graph.nodes if n.op == "call_function"]
    assert call.target == getattr(F, fn)
    assert call.kwargs == ({"approximate": "tanh"} if name.startswith("tanh gelu") else {})


@pytest.mark.parametrize("name", OTHERS)
def test_other_functions_are_silent(name):
    """They differ from what they look like."""
    function, x = OTHERS[name], torch.randn(2, 3, 6, 6)
    assert (fires(Net(function), CODE, x), refused(Net(function), CODE, x)) == (0, [])
    y = torch.linspace(-4, 4, 64).view(1, 4, 4, 4) + 0.01
    for fn in (F.silu, F.mish, F.hardswish, F.hardsigmoid, F.gelu):
        assert not torch.allclose(function(y), fn(y), atol=1e-5)
    assert not torch.allclose(function(y), F.gelu(y, approximate="tanh"), atol=1e-6)


def test_saving_by_hand():
    """sigmoid and product: one read of x and of the gate, one write, less."""
    b = Builder(1, 8, 16, 16)
    gate = b.same(ir.Activation("sigmoid"), b.x)
    b.same(ir.Mul(), b.x, gate)
    (finding,) = findings(b.graph(), CODE)
    saved, size = finding.saving, 8 * 16 * 16
    assert (saved.activation_bytes, saved.bytes_read) == (4 * size, 4 * 2 * size)
    assert (saved.other_ops, saved.kernels, saved.macs, saved.params) == (size, 1, 0, 0)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: (lambda g: x * g + g)(torch.sigmoid(x)), "sigmoid"),
        (lambda x: (lambda g: F.relu6(g) / 6 * x + g)(x + 3), "add"),
        (lambda x: (lambda c: 0.5 * x * (1 + (K * (x + 0.044715 * c)).tanh()) + c)(x**3), "pow"),
    ],
)
def test_steps_that_others_read(function, reason):
    """The value in between is needed, so the steps stay."""
    x = torch.randn(2, 3, 6, 6)
    found = refused(Net(function), CODE, x)
    assert f"others read the {reason} in between too" in found
    assert fires(Net(function), CODE, x) == 0


@settings(max_examples=12, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(COMPOSED)), min_size=1, max_size=4),
    axes=st.integers(1, 3), batch=st.integers(1, 2),
)  # fmt: skip
def test_any_row_of_them(names, axes, batch):
    """One after the other, each becomes its own call."""

    def function(x):
        for name in names:
            x = COMPOSED[name][0](x)
        return x

    made = applied(Net(function, axes), CODE, torch.randn(batch, 3, *(5,) * axes))
    assert len(made.changes) == len(names)


def test_weighs_more_where_nothing_fuses():
    """Information in general, a warning for PyTorch as it is."""
    x = torch.randn(2, 3, 6, 6)
    for profile, severity in (("generic", "info"), ("eager", "warning")):
        report = convlint.lint(Net(COMPOSED["mish"][0]), x, select=(CODE,), profile=profile)
        assert [finding.severity for finding in report.findings] == [severity]


def test_a_net_with_the_calls_of_torch_is_silent():
    """MobileNetV3 has Hardswish, and gates of other maps."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.mobilenet_v3_small(weights=None)
    assert fires(model, CODE, torch.zeros(1, 3, 64, 64)) == 0
