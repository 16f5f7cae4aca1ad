"""CL424: functions whose order alone is used."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convlint.ir import nodes as ir
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused
from tests.rules.runs import findings

CODE = "CL424"


class Head(nn.Module):
    """A 1x1 conv, then a function of its scores."""

    def __init__(self, after):
        super().__init__()
        self.classes = nn.Conv2d(3, 6, 1)
        self.after = after

    def forward(self, x):
        return self.after(self.classes(x))


def test_saves_one_pass_and_the_exponentials():
    """Two operations an element for a softmax, one read and one write of the map."""
    b = Builder(1, 3, 16, 16)
    x = b.conv(b.x, 8, 1)
    b.add(ir.Reduce("argmax", (1,)), [b.same(ir.Softmax(1), x)], (1, 16, 16))
    (finding,) = findings(b.graph(), CODE)
    size, saved = 8 * 16 * 16, finding.saving
    assert (saved.activation_bytes, saved.bytes_read) == (4 * size, 4 * size)
    assert (saved.other_ops, saved.kernels, saved.macs) == (2 * size, 1, 0)


FIRES = {
    "softmax": lambda x: x.softmax(1).argmax(1),
    "keepdim": lambda x: F.softmax(x, 1).argmax(1, keepdim=True),
    "log_softmax": lambda x: F.log_softmax(x, dim=1).argmin(1),
    "negative axis": lambda x: x.softmax(-3).argmax(dim=1),
    "sigmoid": lambda x: torch.sigmoid(x).argmax(2),
    "all": lambda x: torch.sigmoid(x).argmax(),
    "tanh, moved": lambda x: torch.tanh(x).flatten(2).transpose(1, 2).argmax(1),
    "exp": lambda x: x.exp().argmin(3),
    "topk": lambda x: x.softmax(1).topk(3, 1)[1],
    "topk of pixels": lambda x: torch.sigmoid(x).flatten(2).topk(5)[1],
    "max": lambda x: x.softmax(1).max(1)[1],
    "several": lambda x: (lambda p: (p.argmax(1), p.topk(2, 1).indices))(x.softmax(1)),
    "argsort": lambda x: torch.sigmoid(x).argsort(1),
}


@pytest.mark.parametrize("name", FIRES)
def test_only_the_order_is_used(name):
    """The function goes, every index stays."""
    made = applied(Head(FIRES[name]), CODE, torch.randn(2, 3, 5, 4))
    assert len(made.changes) == 1
    assert made.largest_difference == 0


REFUSED = {
    "values returned": (
        lambda x: (lambda p: (p, p.argmax(1)))(x.softmax(1)),
        "the model's output reads the values of the softmax",
    ),
    "values of topk": (
        lambda x: x.softmax(1).topk(3, 1),
        "the values of topk are read, not only its indices",
    ),
    "other axis": (
        lambda x: x.softmax(1).argmax(2),
        "argmax runs along axis 2, the softmax along 1",
    ),
    "over all": (lambda x: x.softmax(1).argmax(), "argmax runs along axis 0, 1, 2, 3"),
    "topk of another axis": (
        lambda x: x.softmax(1).topk(2, 3)[1],
        "topk runs along axis 3, the softmax along 1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_more_than_the_order_is_used(name):
    """Every refusal names what is read."""
    after, reason = REFUSED[name]
    x = torch.randn(2, 3, 5, 4)
    assert fires(Head(after), CODE, x) == 0
    (found,) = refused(Head(after), CODE, x)
    assert found.startswith(reason)


def test_the_largest_pixel_of_a_softmax_over_classes_is_another():
    """Along another axis every position was divided by a sum of its own."""
    torch.manual_seed(0)
    x = torch.randn(1, 6, 5, 4)
    assert not torch.equal(x.softmax(1).argmax(2), x.argmax(2))


def test_an_axis_that_the_shapes_do_not_tell_is_refused():
    """max over either of two axes of one length leaves the same shape."""
    model = Head(lambda x: x.softmax(1).max(2)[1])
    (reason,) = refused(model, CODE, torch.randn(1, 3, 6, 4))
    assert reason == "max runs along axis 1, 2, the softmax along 1"


@pytest.mark.parametrize(
    "after",
    [
        lambda x: torch.relu(x).argmax(1),
        lambda x: F.hardsigmoid(x).argmax(1),
        lambda x: F.silu(x).argmax(1),
        lambda x: F.softmin(x, 1).argmax(1),
        lambda x: (x.sigmoid() > 0.5).float().argmax(1),
        lambda x: F.interpolate(x.softmax(1), scale_factor=2, mode="bilinear").argmax(1),
    ],
)
def test_what_does_not_keep_the_order_is_silent(after):
    """Flat parts make ties, SiLU falls first, softmin turns the order, interpolation mixes."""
    assert fires(Head(after), CODE, torch.randn(1, 3, 5, 4)) == 0


def test_a_flat_part_gives_another_index():
    """ReLU makes ties of all negative scores; argmax takes the first."""
    x = torch.tensor([[-2.0, -1.0]])
    assert torch.relu(x).argmax(1) != x.argmax(1)


@settings(max_examples=12, deadline=None)
@given(
    fn=st.sampled_from(["softmax", "log_softmax", "sigmoid", "tanh", "softplus", "erf"]),
    axis=st.integers(0, 3), along=st.sampled_from([None, 0, 1, 2, 3]), keep=st.booleans(),
    sizes=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)),
)  # fmt: skip
def test_any_order_is_kept(fn, axis, along, keep, sizes):
    """Whatever the axes and shapes, where it fires the indices are equal."""
    whole = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "softplus": F.softplus, "erf": torch.erf}

    def after(x):
        x = whole[fn](x) if fn in whole else getattr(F, fn)(x, dim=axis)
        return x.argmax(along, keepdim=keep and along is not None)

    n, h, w = sizes
    made = applied(Head(after), CODE, torch.randn(n, 3, h, w))
    assert made.largest_difference in (None, 0)
    if fn in whole:
        assert len(made.changes) == 1
