"""CL421: copies of channels before a dense layer, their weights summed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convlint.ir import nodes as ir
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings

CODE = "CL421"


class Before(nn.Module):
    """A function of the input, then a layer."""

    def __init__(self, layer, before, stem=None):
        super().__init__()
        self.stem = stem or nn.Identity()
        self.layer, self.before = layer, before

    def forward(self, x):
        return self.layer(self.before(self.stem(x)))


@pytest.mark.parametrize(("copies", "k", "stride"), [(3, 7, 2), (3, 3, 1), (2, 1, 1)])
def test_saves_all_products_but_those_of_one_copy(copies, k, stride):
    """A grey stem loses 2/3 of its MACs and weights."""
    b = Builder(1, 1, 32, 32)
    wide = b.add(ir.Expand(), [b.x], (1, copies, 32, 32))
    b.conv(wide, 16, k, stride=stride, bias=True)
    (finding,) = findings(b.graph(), CODE)
    positions = (32 // stride) ** 2
    assert finding.saving.macs == positions * 16 * (copies - 1) * k * k
    assert finding.saving.params == 16 * (copies - 1) * k * k
    assert finding.saving.macs_percent == pytest.approx(100 * (copies - 1) / copies, abs=0.01)


def test_counts_the_bytes_of_the_copies():
    """repeat writes the copies, the conv reads them."""
    b = Builder(1, 4, 16, 16)
    wide = b.add(ir.Repeat((1, 2, 1, 1)), [b.x], (1, 8, 16, 16))
    b.conv(wide, 16, 1)
    (finding,) = findings(b.graph(), CODE)
    plane = 4 * 16 * 16
    assert finding.saving.activation_bytes == 8 * plane
    assert finding.saving.bytes_read == 4 * plane + 4 * plane + 4 * 16 * 4


COPIES = {
    "expand": (1, lambda x: x.expand(-1, 3, -1, -1)),
    "repeat": (2, lambda x: x.repeat(1, 3, 1, 1)),
    "interleaved": (2, lambda x: x.unsqueeze(2).repeat(1, 1, 3, 1, 1).flatten(1, 2)),
    "cat": (3, lambda x: torch.cat([x, x], 1)),
    "stack": (3, lambda x: torch.stack([x, x], 1).flatten(1, 2)),
    "gather": (4, lambda x: x[:, [3, 0, 1, 2, 0, 0]]),
    "slices": (1, lambda x: torch.cat([x[:, :1]] * 3, 1)),
    "flipped copy": (4, lambda x: torch.cat([x, x.flip(1)], 1)),
    "plane": (1, lambda x: x[:, 0].unsqueeze(1).repeat(1, 3, 1, 1)),
    "two maps": (2, lambda x: torch.cat([x, torch.tanh(x), x], 1)),
}


@pytest.mark.parametrize("name", COPIES)
def test_every_spelling_of_a_copy(name):
    """Found from the flow of the channels, whatever the author wrote."""
    channels, before = COPIES[name]
    x = torch.randn(2, channels, 7, 6)
    layer = nn.Conv2d(before(x).shape[1], 5, 3, 2, 1)
    made = applied(Before(layer, before), CODE, x)
    assert [change.modules[-1] for change in made.changes] == ["layer"]
    assert made.largest_difference < 1e-12


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), channels=st.integers(1, 3), copies=st.integers(2, 3),
    k=st.integers(1, 3), stride=st.integers(1, 2), dilation=st.integers(1, 2),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]), bias=st.booleans(),
    batch=st.integers(1, 2), norm=st.booleans(),
)  # fmt: skip
def test_any_conv_keeps_its_outputs(
    axes, channels, copies, k, stride, dilation, mode, bias, batch, norm
):  # fmt: skip
    """Kernels, strides, borders and padding modes stay as they are."""
    conv = getattr(nn, f"Conv{axes}d")(
        channels * copies, 4, k, stride, 1, dilation, bias=bias, padding_mode=mode
    )
    layer = nn.Sequential(conv, getattr(nn, f"BatchNorm{axes}d")(4)) if norm else conv
    model = Before(layer, lambda x: x.repeat(1, copies, *(1,) * axes))
    made = applied(model, CODE, torch.randn(batch, channels, *(7,) * axes))
    assert len(made.changes) == 1


@pytest.mark.parametrize("bias", [False, True])
def test_transposed_convs_and_linear_layers(bias):
    """Their weights are summed along the axis that they read with."""
    up = Before(nn.ConvTranspose2d(6, 4, 3, 2, 1, 1, bias=bias), COPIES["repeat"][1])
    assert len(applied(up, CODE, torch.randn(1, 2, 5, 5)).changes) == 1
    fc = Before(nn.Linear(8, 3, bias=bias), lambda x: torch.cat([x, x], -1))
    assert len(applied(fc, CODE, torch.randn(2, 5, 4)).changes) == 1


def test_a_functional_conv():
    """A weight that is a bare parameter counts as well."""

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(4, 3, 3, 3))

        def forward(self, x):
            return F.conv2d(x.expand(-1, 3, -1, -1), self.w)

    assert len(applied(Functional(), CODE, torch.randn(1, 1, 8, 8)).changes) == 1


def test_a_shared_layer_whose_calls_all_read_copies():
    """Two calls of one stem share the summed weight; a call on other channels refuses both."""

    class Siamese(nn.Module):
        def __init__(self, rgb):
            super().__init__()
            self.stem, self.rgb = nn.Conv2d(3, 4, 3), rgb

        def forward(self, x):
            a = self.stem(x[:, :1].expand(-1, 3, -1, -1))
            b = x if self.rgb else x[:, 1:2].repeat(1, 3, 1, 1)
            return a, self.stem(b)

    x = torch.randn(1, 3, 8, 8)
    made = applied(Siamese(False), CODE, x)
    assert len(made.changes) == 2
    assert sum(p.numel() for p in made.module.parameters()) == 4 * 9 + 4
    assert refused(Siamese(True), CODE, x) == ["stem uses the same weight on other channels"]


def test_a_source_that_is_read_in_part():
    """Channels of the source that are left out would cost MACs: cut them first."""
    model = Before(nn.Conv2d(4, 5, 3), lambda x: x[:, [0, 1, 0, 1]])
    assert refused(model, CODE, torch.randn(1, 3, 8, 8)) == [
        "1 of 3 channels of the source are left out"
    ]


@pytest.mark.parametrize(
    "before",
    [
        lambda x: torch.cat([x, torch.relu(x)], 1),
        lambda x: torch.cat([x, x.flip(3)], 1),
        lambda x: torch.cat([x, x.transpose(2, 3)], 1),
        lambda x: torch.cat([x, x.roll(1, 2)], 1),
        lambda x: torch.cat([x, x + 1], 1),
        lambda x: torch.cat([x.flip(0), x], 1),
    ],
)
def test_what_is_no_copy_is_silent(before):
    """Other values, or the same ones elsewhere: one summed weight would be wrong."""
    conv = nn.Conv2d(8, 4, 3)
    model, x = scrambled(Before(conv, before)), torch.randn(2, 4, 6, 6)
    assert fires(model, CODE, x) == 0
    summed = conv.weight[:, :4] + conv.weight[:, 4:]
    assert not torch.allclose(model(x), F.conv2d(x, summed, conv.bias), atol=1e-3)


def test_grouped_and_normed_and_tapped_copies_are_silent():
    """A grouped kernel has no weight for every channel; a norm scales the copies apart."""
    twice = lambda x: torch.cat([x, x], 1)  # noqa: E731
    x = torch.randn(1, 4, 6, 6)
    assert fires(Before(nn.Conv2d(8, 8, 3, groups=2), twice), CODE, x) == 0
    normed = nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))
    assert fires(Before(normed, twice), CODE, x) == 0

    class Tapped(Before):
        def forward(self, x):
            wide = self.before(x)
            return wide, self.layer(wide)

    assert fires(Tapped(nn.Conv2d(8, 8, 3), twice), CODE, x) == 0
