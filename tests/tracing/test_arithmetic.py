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
    ],
)
def test_numbers_subtracted_and_divided_by(function, op):
    """x - c is x + (-c), x / c is x * (1 / c); everything else has a name of its own."""
    assert _op(function) == op


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
