"""Arithmetic with numbers keeps them, and functional norms keep their eps."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convlint.ir import nodes as ir
from convlint.tracing.inline import read_instance


class Called(nn.Module):
    """A function of the input and of a module with statistics."""

    def __init__(self, function):
        super().__init__()
        self.function, self.norm = function, nn.BatchNorm2d(4)

    def forward(self, x):
        return self.function(x, self.norm)


def _op(function):
    reply = read_instance(Called(function).eval(), (torch.zeros(2, 4, 5, 5),), {}, target="called")
    assert reply.graph is not None
    return reply.graph.nodes[-2].op


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda x, _: x - 3, ir.Add(-3.0)),
        (lambda x, _: torch.sub(x, other=3), ir.Add(-3.0)),
        (lambda x, _: x.clone().sub_(3), ir.Add(-3.0)),
        (lambda x, _: x / 4, ir.Mul(0.25)),
        (lambda x, _: torch.div(x, 4.0), ir.Mul(0.25)),
        (lambda x, _: 3 - x, ir.Elementwise("__rsub__")),
        (lambda x, _: x - x.flip(3), ir.Elementwise("sub")),
        (lambda x, _: x / x.exp(), ir.Elementwise("div")),
        (lambda x, _: x.sub(3, alpha=2), ir.Elementwise("sub_scaled")),
        (lambda x, _: F.softplus(x), ir.Activation("softplus")),
        (lambda x, _: F.softplus(x, 2), ir.Activation("softplus_scaled")),
        (lambda x, _: nn.Softplus(1, threshold=5)(x), ir.Activation("softplus_scaled")),
        (lambda x, _: torch.div(x, 4, rounding_mode="floor"), ir.Elementwise("div_floor")),
        (lambda x, _: x**3, ir.Elementwise("pow", 3.0)),
        (lambda x, _: torch.pow(x, exponent=0.5), ir.Elementwise("pow", 0.5)),
        (lambda x, _: torch.pow(2, x), ir.Elementwise("pow")),
        (lambda x, _: x ** x.exp(), ir.Elementwise("pow")),
        (lambda x, _: 2 / x, ir.Elementwise("__rdiv__", 2.0)),
        (lambda x, _: F.gelu(x), ir.Activation("gelu")),
        (lambda x, _: F.gelu(x, approximate="tanh"), ir.Activation("gelu", "tanh")),
        (lambda x, _: nn.GELU("tanh")(x), ir.Activation("gelu", "tanh")),
    ],
)
def test_numbers_subtracted_and_divided_by(function, op):
    """x - c is x + (-c), x / c is x * (1 / c); everything else has a name of its own."""
    assert _op(function) == op


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda x: x.var(1), ir.Reduce("var", (1,), False, 1.0)),
        (lambda x: x.var(1, False, True), ir.Reduce("var", (1,), True, 0.0)),
        (lambda x: x.std((2, 3), correction=0), ir.Reduce("std", (2, 3), False, 0.0)),
        (lambda x: torch.std(x, -1, unbiased=False), ir.Reduce("std", (3,), False, 0.0)),
        (lambda x: x.var(False), ir.Reduce("var", (0, 1, 2, 3), False, 0.0)),
        (lambda x: x.var(), ir.Reduce("var", (0, 1, 2, 3), False, 1.0)),
        (lambda x: x.mean(1, True), ir.Reduce("mean", (1,), True)),
    ],
)
def test_variances_say_what_they_divide_by(function, op):
    """The correction of every signature; other reductions have none."""
    assert _op(lambda x, _: function(x)) == op


def test_the_mean_comes_with_the_variance():
    """One reduction with two results."""

    def function(x, _):
        var, mean = torch.var_mean(x, dim=1, unbiased=False, keepdim=True)
        return var / mean

    reply = read_instance(Called(function).eval(), (torch.zeros(2, 4, 5, 5),), {}, target="x")
    _, both, ratio, _ = reply.graph.nodes
    assert both.op == ir.Reduce("var_mean", (1,), True, 0.0)
    assert [spec.shape for spec in both.outputs] == [(2, 1, 5, 5)] * 2
    assert ratio.inputs == (ir.Ref(both.id, 0), ir.Ref(both.id, 1))


def test_functional_norms_have_their_eps():
    """The eps of the call, and statistics of the input where the call asks for them."""

    def batch(x, norm, **options):
        return F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, **options
        )

    assert _op(lambda x, n: batch(x, n, eps=0.1)) == ir.Norm("batch", eps=0.1)
    assert _op(batch) == ir.Norm("batch", eps=1e-5)
    fixed = _op(lambda x, n: batch(x, n, training=True, eps=0.1))
    assert fixed == ir.Norm("batch", running_stats=False, eps=0.1)
    group = _op(lambda x, n: F.group_norm(x, 2, n.weight, n.bias, 0.1))
    assert group == ir.Norm("group", groups=2, eps=0.1)
    instance = _op(lambda x, n: F.instance_norm(x, n.running_mean, n.running_var, eps=0.1))
    assert instance == ir.Norm("instance", affine=False, running_stats=False, eps=0.1)
    kept = _op(
        lambda x, n: F.instance_norm(x, n.running_mean, n.running_var, use_input_stats=False)
    )
    assert kept == ir.Norm("instance", affine=False, running_stats=True)
    native = _op(
        lambda x, n: torch.native_batch_norm(
            x, n.weight, n.bias, n.running_mean, n.running_var, False, 0.1, 0.2
        )[0]
    )
    assert native == ir.Norm("batch", eps=0.2)
    layer = _op(lambda x, _: F.layer_norm(x, (5, 5), eps=0.1))
    assert layer == ir.Norm("layer", axes=(2, 3), affine=False, eps=0.1)
    assert _op(lambda x, _: F.rms_norm(x, (5,), eps=0.1)).eps == 0.1
    small = torch.finfo(torch.float32).eps
    assert [_op(lambda x, _: F.rms_norm(x, (5,))).eps, _op(lambda x, _: nn.RMSNorm(5)(x)).eps] == [
        small,
        small,
    ]
