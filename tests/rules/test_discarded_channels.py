"""CL427: channels that nobody reads are not computed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convlint.checking import ActiveRule, check_model
from convlint.ir import nodes as ir
from convlint.wire import Reply
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings, rule
from tests.zoo import graph_of

CODE = "CL427"


class Then(nn.Module):
    """A layer and what reads it."""

    def __init__(self, layer, read):
        super().__init__()
        self.layer, self.read = layer, read

    def forward(self, x):
        return self.read(self.layer(x))


@pytest.mark.parametrize(("total", "kept", "kernel"), [(32, 16, 1), (24, 6, 3)])
def test_saves_the_share_of_the_unread_channels(total, kept, kernel):
    """1 - read / channels of MACs and weights."""
    b = Builder(1, 8, 10, 10)
    y = b.conv(b.x, total, kernel, bias=True)
    b.add(ir.Slice((ir.SliceAxis(1, 0, kept),)), [y], (1, kept, 10, 10))
    (finding,) = findings(b.graph(), CODE)
    assert finding.saving.macs == 100 * 8 * kernel**2 * (total - kept)
    assert finding.saving.params == (8 * kernel**2 + 1) * (total - kept)
    assert finding.saving.activation_bytes == 4 * 100 * (total - kept)
    assert finding.saving.macs_percent == pytest.approx(100 * (1 - kept / total), abs=0.01)


def _first_of_two(y):
    mean, logvar = y.chunk(2, 1)
    _unread = torch.exp(logvar)
    return mean


READS = {
    "slice": lambda y: y[:, 1:4],
    "every second": lambda y: y[:, ::2],
    "first of a chunk": lambda y: y.chunk(2, 1)[0],
    "last of a split": lambda y: y.split([2, 2, 4], 1)[2],
    "index": lambda y: y[:, [5, 0, 3]],
    "repeated": lambda y: y[:, [5, 5, 0]],
    "two slices": lambda y: y[:, :2] * y[:, 5:7],
    "overlapping": lambda y: torch.cat([y[:, :3], y[:, 2:5]], 1),
    "one channel": lambda y: y[:, 3],
    "a corner": lambda y: y[:, :2, 1:, :-1],
    "apart": lambda y: torch.cat([y[:, :1], y[:, 2:5], y[:, 7:]], 1),
    "behind a relu": lambda y: torch.relu(y * 2)[:, :3],
    "unused part": _first_of_two,
}


@pytest.mark.parametrize("name", READS)
def test_every_spelling(name):
    """Slices, splits, indices, with elementwise work between or dead work behind."""
    made = applied(Then(nn.Conv2d(3, 8, 3), READS[name]), CODE, torch.randn(2, 3, 6, 5))
    assert [change.code for change in made.changes] == [CODE]
    assert made.largest_difference < 1e-12


@settings(max_examples=20, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(1, 3), stride=st.integers(1, 2),
    shape=st.sampled_from([(3, 8, 1), (4, 8, 2), (8, 8, 8), (4, 8, 4)]),
    mode=st.sampled_from(["zeros", "reflect"]), bias=st.booleans(), norm=st.booleans(),
    transposed=st.booleans(), start=st.integers(0, 3), step=st.integers(1, 2),
)  # fmt: skip
def test_any_layer_keeps_its_outputs(
    axes, k, stride, shape, mode, bias, norm, transposed, start, step
):
    """Groups that stay even, depthwise layers, transposed ones, norms of both signs between."""
    cin, cout, groups = shape
    kind = f"Conv{'Transpose' if transposed else ''}{axes}d"
    options = {} if transposed else {"padding_mode": mode, "padding": k // 2}
    conv = getattr(nn, kind)(cin, cout, k, stride, groups=groups, bias=bias, **options)
    layer = nn.Sequential(conv, getattr(nn, f"BatchNorm{axes}d")(cout), nn.SiLU()) if norm else conv
    x = torch.randn(2, cin, *(7,) * axes)
    model = Then(layer, lambda y: y[:, start::step])
    made = applied(model, CODE, x)
    kept = range(start, cout, step)
    counts = {g: sum(c // (cout // groups) == g for c in kept) for g in range(groups)}
    even = len({n for n in counts.values() if n}) == 1
    assert len(made.changes) == (even and len(kept) < cout)


def test_linear_layers_and_functional_convs():
    """Features along the last axis, and bare parameters."""
    fc = nn.Sequential(nn.Linear(6, 8), nn.GELU())
    made = applied(Then(fc, lambda y: y[..., 2:5]), CODE, torch.randn(2, 4, 6))
    assert len(made.changes) == 1

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(8, 3, 3))

        def forward(self, x):
            return F.conv1d(x, self.w)[:, 4:]

    assert len(applied(Functional(), CODE, torch.randn(1, 3, 9)).changes) == 1


def test_uneven_groups_are_refused():
    """One channel of the first group and two of the second fit no grouped conv."""
    conv = nn.Conv2d(4, 8, 1, groups=2)
    model = Then(conv, lambda y: y[:, 3:6])
    assert refused(model, CODE, torch.randn(1, 4, 3, 3)) == [
        "groups=2 would keep unequal numbers of channels"
    ]


def test_a_layer_that_other_calls_read_otherwise():
    """Its weights are needed: cut ones would change the other call's result."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.conv(x)[:, :2], self.conv(x + 1)

    model, x = scrambled(Twice()), torch.randn(1, 3, 4, 4)
    assert refused(model, CODE, x) == ["conv uses the same weights on other channels"]
    cut = F.conv2d(x + 1, model.conv.weight[:2], model.conv.bias[:2])
    assert cut.shape != model(x)[1].shape


def test_a_computed_kernel_is_refused():
    """Its weight is no parameter."""

    class Computed(nn.Module):
        def forward(self, x):
            return F.conv1d(x, x.mean().expand(4, 3, 3))[:, :2]

    assert refused(Computed(), CODE, torch.randn(1, 3, 9)) == ["its weight is computed in forward"]


def test_cuts_that_lie_apart_on_other_axes_too():
    """No single slice takes them."""

    def read(y):
        return y[:, 0:6:3, 1:], y[:, 1]

    model = Then(nn.Conv2d(3, 8, 1), read)
    assert fires(model, CODE, torch.randn(1, 3, 4, 4)) == 1

    def apart(y):
        return y[:, 0:5:2, 1:], y[:, 1:2]

    model = Then(nn.Conv2d(3, 8, 1), apart)
    assert refused(model, CODE, torch.randn(1, 3, 4, 4)) == [
        "what is read lies apart and is cut on other axes too"
    ]


@pytest.mark.parametrize(
    "read",
    [
        lambda y: y.chunk(2, 1)[0] + y.chunk(2, 1)[1],
        lambda y: (y[:, :2], y),
        lambda y: (y[:, :2], y.mean()),
        lambda y: y.softmax(1)[:, :2],
        lambda y: F.group_norm(y, 2)[:, :2],
        lambda y: y[:, :, ::2],
        lambda y: y.flatten(1)[:, :8],
        lambda y: y[:, :2] if y.shape[1] < 8 else torch.cat([y[:, :5], y[:, 5:]], 1),
    ],
)
def test_what_needs_all_channels_is_silent(read):
    """All parts are read, the whole is returned, or channels meet before the cut."""
    assert fires(Then(nn.Conv2d(3, 8, 1), read), CODE, torch.randn(1, 3, 4, 4)) == 0


def test_channels_that_meet_before_the_cut_would_change():
    """A softmax over the kept channels alone is another one."""
    conv = scrambled(nn.Conv2d(3, 8, 1))
    x = torch.randn(1, 3, 4, 4)
    cut = F.conv2d(x, conv.weight[:2], conv.bias[:2]).softmax(1)
    assert not torch.allclose(conv(x).softmax(1)[:, :2], cut, atol=1e-3)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "resnet18"])
def test_known_models_are_silent(name):
    """ShuffleNetV2 reads both halves of its splits."""
    graph = graph_of(name, 1, 3, 64, 64)
    one = rule(CODE)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    assert check_model(reply, (ActiveRule(one, one.meta.severity, one.options()),)).findings == ()


def test_c2f_is_silent():
    """The block of YOLOv8 splits, works on one half and joins all."""

    class C2f(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(8, 8, 1), nn.Conv2d(12, 8, 1)
            self.inner = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            parts = list(torch.relu(self.first(x)).chunk(2, 1))
            parts.append(torch.relu(self.inner(parts[-1])))
            return self.last(torch.cat(parts, 1))

    assert fires(C2f(), CODE, torch.randn(1, 8, 6, 6)) == 0
