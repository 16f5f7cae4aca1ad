"""CL420: channels reordered right before a dense layer."""

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
from tests.rules.runs import findings
from tests.rules.test_repeated_input_channels import Before

CODE = "CL420"


def test_saves_one_pass_over_the_map():
    """A shuffle reads and writes the map once."""
    b = Builder(1, 8, 16, 16)
    x = b.relu(b.conv(b.x, 8, groups=4))
    b.conv(b.same(ir.ChannelShuffle(4), x), 16, 1)
    (finding,) = findings(b.graph(), CODE)
    size = 4 * 8 * 16 * 16
    saved = finding.saving
    assert (saved.activation_bytes, saved.bytes_read, saved.kernels) == (size, size, 1)
    assert (saved.macs, saved.params) == (0, 0)


def _by_hand(x):
    n, c, *rest = x.shape
    return x.view(n, 4, c // 4, *rest).transpose(1, 2).reshape(n, c, *rest)


MOVES = {
    "layer": nn.ChannelShuffle(2),
    "function": lambda x: F.channel_shuffle(x, 4),
    "by hand": _by_hand,
    "flip": lambda x: x.flip(1),
    "index": lambda x: x[:, [3, 1, 0, 2, 7, 6, 5, 4]],
    "index_select": lambda x: torch.index_select(x, 1, torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])),
    "roll": lambda x: x.roll(3, 1),
    "halves": lambda x: torch.cat([x[:, 4:], x[:, :4]], 1),
    "chunks": lambda x: torch.cat(x.chunk(4, 1)[::-1], 1),
    "even and odd": lambda x: torch.cat([x[:, ::2], x[:, 1::2]], 1),
    "two": lambda x: F.channel_shuffle(x.flip(1), 2),
}


@pytest.mark.parametrize("name", MOVES)
def test_every_spelling_of_a_permutation(name):
    """Found from the flow of the channels, whatever the author wrote."""
    stem = nn.Conv2d(3, 8, 3, padding=1)
    model = Before(nn.Conv2d(8, 5, 3, 2, 1), MOVES[name], stem)
    made = applied(model, CODE, torch.randn(2, 3, 7, 6))
    assert [change.modules[-1] for change in made.changes] == ["layer"]
    assert made.largest_difference < 1e-12


def test_moves_that_cancel_leave_the_weights_alone():
    """A shuffle and its inverse, or a flip twice, go; the layer stays as it is."""
    model = Before(nn.Conv2d(8, 5, 1), lambda x: F.channel_shuffle(F.channel_shuffle(x, 2), 4))
    made = applied(model, CODE, torch.randn(1, 8, 4, 4))
    assert len(made.changes) == 1
    assert torch.equal(made.module.layer.weight, model.layer.weight)
    assert made.largest_difference == 0


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), order=st.permutations(range(6)), k=st.integers(1, 3),
    stride=st.integers(1, 2), mode=st.sampled_from(["zeros", "reflect", "replicate"]),
    bias=st.booleans(), batch=st.integers(1, 2), kind=st.sampled_from(["conv", "up", "linear"]),
)  # fmt: skip
def test_any_order_before_any_dense_layer(axes, order, k, stride, mode, bias, batch, kind):
    """Outputs equal, whatever the layer; the order of nature moves nothing."""
    if kind == "linear":
        layer, x = nn.Linear(6, 3, bias=bias), torch.randn(batch, 5, 6)
        before = lambda x: x[..., list(order)]  # noqa: E731
    else:
        name = f"Conv{axes}d" if kind == "conv" else f"ConvTranspose{axes}d"
        extra = {"padding_mode": mode} if kind == "conv" else {}
        layer = getattr(nn, name)(6, 4, k, stride, k // 2, bias=bias, **extra)
        x = torch.randn(batch, 6, *(5,) * axes)
        before = lambda x: x[:, list(order)]  # noqa: E731
    made = applied(Before(layer, before), CODE, x)
    assert len(made.changes) == 1
    assert made.largest_difference < 1e-12


def test_features_flattened_channels_last():
    """A head that was brought over from a channels-last framework, weights and all."""
    model = Before(nn.Linear(8 * 4 * 3, 5), lambda x: x.permute(0, 2, 3, 1).flatten(1))
    made = applied(model, CODE, torch.randn(2, 8, 4, 3))
    assert len(made.changes) == 1
    plain = Before(nn.Linear(8 * 4 * 3, 5), lambda x: x.flatten(1))
    assert fires(plain, CODE, torch.randn(2, 8, 4, 3)) == 0


@pytest.mark.parametrize(
    ("before", "right"),
    [
        (lambda x: x.flip(3), False),
        (lambda x: x.transpose(2, 3), False),
        (lambda x: x.flip(0), False),
        (lambda x: torch.relu(x.flip(1)), True),
        (lambda x: F.pixel_shuffle(x, 2), False),
        (lambda x: x.repeat(1, 2, 1, 1), False),
        (lambda x: x[:, :4], False),
        (lambda x: x.contiguous().view(x.shape), True),
    ],
)
def test_what_is_no_permutation_right_before_the_layer(before, right):
    """Space moved, values changed, channels copied or left out; or nothing moved at all.

    ``right`` tells where the layer would still do with another order of its weight.
    """
    x = torch.randn(2, 8, 6, 6)
    wide = before(x)
    model = scrambled(Before(nn.Conv2d(wide.shape[1], 4, 1), before))
    assert fires(model, CODE, x) == 0
    if not right and wide.shape == x.shape:
        assert not torch.allclose(model(x), model.layer(x), atol=1e-3)


@pytest.mark.parametrize("groups", [2, 8])
def test_before_a_grouped_conv_the_shuffle_is_the_point(groups):
    """No order of a grouped weight reads other groups' channels."""
    model = Before(nn.Conv2d(8, 8, 3, groups=groups), nn.ChannelShuffle(4))
    assert fires(model, CODE, torch.randn(1, 8, 6, 6)) == 0


def test_other_readers_of_the_moved_map():
    """A tap, a second layer, the other half of a split: all need the moved map."""

    class Tapped(Before):
        def forward(self, x):
            moved = self.before(x)
            return moved, self.layer(moved)

    class Halves(Before):
        def forward(self, x):
            left, right = self.before(x).chunk(2, 1)
            return torch.cat([left, self.layer(right)], 1)

    x = torch.randn(1, 8, 6, 6)
    assert fires(Tapped(nn.Conv2d(8, 4, 1), nn.ChannelShuffle(2)), CODE, x) == 0
    assert fires(Halves(nn.Conv2d(4, 4, 1), nn.ChannelShuffle(2)), CODE, x) == 0


def test_a_layer_that_also_reads_another_order():
    """One weight cannot be in two orders."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            return self.conv(self.conv(x.flip(1)))

    x = torch.randn(1, 4, 5, 5)
    assert refused(Twice(), CODE, x) == ["conv uses the same weight on another order"]
    model = scrambled(Twice())
    flipped = nn.Conv2d(4, 4, 1)
    flipped.load_state_dict({"weight": model.conv.weight.flip(1), "bias": model.conv.bias})
    assert not torch.allclose(model(x), flipped(flipped(x)), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "modules"),
    [("resnet18", []), ("densenet121", []), ("shufflenet_v2_x1_0", [("conv5.0",)])],
)
def test_torchvision_models(name, modules):
    """ShuffleNet v2 splits what it shuffles, but for the last time: a dense 1x1 reads that."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
    report = convlint.lint(model, torch.zeros(1, 3, 64, 64), select=(CODE,))
    assert [finding.modules for finding in report.findings] == modules
