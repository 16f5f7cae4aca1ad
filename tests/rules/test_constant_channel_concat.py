"""CL419: channels that do not depend on the input become a constant map."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convlint
from convlint.ir import nodes as ir
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused
from tests.rules.runs import findings, rule

CODE = "CL419"


class Placed(nn.Module):
    """A layer on the input beside what ``grid`` makes of its shape."""

    def __init__(self, layer, grid, axis=1):
        super().__init__()
        self.layer, self.grid, self.axis = layer, grid, axis
        self.learned = nn.Parameter(torch.zeros(1, 2, 8, 7))
        self.register_buffer("fixed", torch.zeros(2, 8, 7))

    def forward(self, x):
        parts = self.grid(self, torch.tanh(x))
        return self.layer(torch.cat(parts, self.axis))


def coordinates(x):
    n, _, h, w = x.shape
    ys = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(n, 1, h, w)
    xs = torch.linspace(-1, 1, w).view(1, 1, 1, w).repeat(n, 1, h, 1)
    return ys, xs


def mesh(x):
    ys, xs = torch.meshgrid(torch.arange(x.shape[2]), torch.arange(x.shape[3]), indexing="ij")
    grid = torch.stack([ys, xs]).float() / 10
    return grid.unsqueeze(0).repeat(len(x), 1, 1, 1)


def radius(x):
    ys, xs = coordinates(x)
    return torch.sqrt((ys - 0.5) ** 2 + (xs - 0.5) ** 2).type_as(x)


GRIDS = {
    "coordinates": lambda m, x: [x, *coordinates(x)],
    "first": lambda m, x: [*coordinates(x), x],
    "between": lambda m, x: [x, coordinates(x)[0], x * 2],
    "mesh": lambda m, x: [x, mesh(x)],
    "cast": lambda m, x: [x, torch.cat([t.type_as(x) for t in coordinates(x)], 1), radius(x)],
    "learned": lambda m, x: [x, m.learned.expand(len(x), -1, -1, -1)],
    "buffer": lambda m, x: [m.fixed.expand(len(x), 2, 8, 7), x],
    "computed": lambda m, x: [x, torch.sin(m.learned.repeat(len(x), 1, 1, 1) * 3)],
}


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", GRIDS)
def test_every_spelling_of_a_constant(name, batch):
    """Made in forward, learned or stored: found, and equal to the last bit but rounding."""
    x = torch.randn(batch, 4, 8, 7)
    width = {"mesh": 6, "learned": 6, "buffer": 6, "computed": 6, "coordinates": 6, "first": 6}
    width |= {"between": 9, "cast": 7}
    made = applied(Placed(nn.Conv2d(width[name], 3, 5, 2, 2), GRIDS[name]), CODE, x)
    assert len(made.changes) == 1
    (buffer,) = [b for key, b in made.module.named_buffers() if key.endswith("_map")]
    assert buffer.shape == (1, 3, 4, 4)


def test_the_map_serves_any_batch_size():
    """A grid that was repeated for the batch makes one map for all samples."""
    model = Placed(nn.Conv2d(6, 5, 3), GRIDS["coordinates"]).double()
    made = convlint.apply(model, torch.randn(2, 4, 8, 7).double(), rules=(CODE,))
    x = torch.randn(5, 4, 8, 7).double()
    assert torch.allclose(made.module(x), model(x), atol=1e-12)


def test_saves_the_constant_channels_share():
    """2 of 5 channels of a 7x7 stem: 40 % of its MACs and weights."""
    b = Builder(1, 3, 32, 32)
    grid = b.add(ir.Constant("factory", "linspace"), [], (1, 2, 32, 32))
    wide = b.add(ir.Concat(1), [b.x, grid], (1, 5, 32, 32))
    b.conv(wide, 16, 7, stride=2, bias=True)
    (finding,) = findings(b.graph(), CODE)
    assert finding.saving.macs == 16 * 16 * 16 * 2 * 49
    assert finding.saving.params == 16 * 2 * 49
    assert finding.saving.macs_percent == 40.0
    assert finding.saving.activation_bytes == 4 * (5 * 32 * 32 - 16 * 16 * 16)


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(1, 3), stride=st.integers(1, 2),
    padding=st.integers(0, 1), dilation=st.integers(1, 2), bias=st.booleans(),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    norm=st.booleans(), batch=st.integers(1, 2), moving=st.integers(1, 2),
)  # fmt: skip
def test_any_conv_keeps_its_outputs(
    axes, k, stride, padding, dilation, bias, mode, norm, batch, moving
):  # fmt: skip
    """The constant part is padded as the rest is, so the borders are right."""

    def grid(_model, x):
        line = torch.linspace(-1, 1, x.shape[-1]).expand(len(x), 2, *x.shape[2:])
        return [x, line] if moving == 1 else [x, line, x.flip(1)]

    conv = getattr(nn, f"Conv{axes}d")(
        3 * moving + 2, 2, k, stride, padding, dilation, bias=bias, padding_mode=mode
    )
    layer = nn.Sequential(conv, getattr(nn, f"BatchNorm{axes}d")(2)) if norm else conv
    model, x = Placed(layer, grid).double(), torch.randn(batch, 3, *(6,) * axes).double()
    expected = fires(model, CODE, x)
    assert expected or moving == 2 or k < 3
    assert len(applied(model, CODE, x).changes) == expected


@pytest.mark.parametrize("bias", [False, True])
def test_transposed_convs_and_linear_layers(bias):
    """Their weights are cut along the axis that they read with."""
    up = nn.ConvTranspose2d(6, 1, 5, 2, 2, 1, bias=bias)
    assert len(applied(Placed(up, GRIDS["mesh"]), CODE, torch.randn(1, 4, 8, 7)).changes) == 1

    def place(_model, x):
        return [x, torch.linspace(0, 1, 6).expand(*x.shape[:2], 6)]

    fc = Placed(nn.Linear(10, 2, bias=bias), place, 2)
    x = torch.randn(2, 3, 4)
    assert fires(fc, CODE, x) == 1
    assert len(applied(fc, CODE, x).changes) == 1


@pytest.mark.parametrize(
    "grid",
    [
        lambda m, x: [x, x.mean((2, 3), keepdim=True).expand_as(x)[:, :2]],
        lambda m, x: [x, torch.rand(len(x), 2, *x.shape[2:])],
        lambda m, x: [x, torch.relu(x[:, :2])],
        lambda m, x: [x + 1, x[:, 2:] * m.learned],
    ],
)
def test_what_depends_on_the_input_or_on_chance(grid):
    """Context of the input, noise, features: no constant map holds for the next input."""
    model, x = Placed(nn.Conv2d(6, 4, 3), grid), torch.randn(1, 4, 8, 7)
    assert fires(model, CODE, x) == 0
    torch.manual_seed(0)
    first = grid(model, x)[1]
    assert not torch.equal(first, grid(model, x * 2)[1]) or not first.any()


def test_a_wide_layer_would_move_more_than_it_saves():
    """A grid beside many channels before a 1x1: an addition of all its channels for 2 products."""
    model, x = Placed(nn.Conv2d(66, 64, 1), GRIDS["coordinates"]), torch.randn(1, 64, 8, 7)
    (reason,) = refused(model, CODE, x)
    macs, after = 2 * 64 * 56, 4 * 56 * (64 + 3 * 64)
    before = 4 * 56 * (66 + 66 + 66) + 4 * 56 * 2
    assert reason.startswith(f"it saves {macs:,} MACs and moves ")
    assert macs < 4 * (after - before)


def test_other_readers_and_other_calls():
    """The concatenation is returned; the layer is called on another input too."""

    class Tapped(Placed):
        def forward(self, x):
            wide = torch.cat(self.grid(self, x), 1)
            return wide, self.layer(wide)

    class Twice(Placed):
        def forward(self, x):
            return super().forward(x), self.layer(x.repeat(1, 2, 1, 1)[:, :6])

    x = torch.randn(1, 4, 8, 7)
    tapped = Tapped(nn.Conv2d(6, 4, 3), GRIDS["mesh"])
    assert refused(tapped, CODE, x) == ["others read the concatenation too"]
    twice = Twice(nn.Conv2d(6, 4, 3), GRIDS["mesh"])
    assert refused(twice, CODE, x) == ["layer uses the same weight"]


def test_the_map_of_one_size_is_wrong_at_another():
    """Why the rule claims nothing where the input's size was guessed."""
    conv = nn.Conv2d(3, 4, 3, padding=1)
    grids = [torch.cat(coordinates(torch.zeros(1, 1, size, size)), 1) for size in (6, 8)]
    small, large = [F.conv2d(grid, conv.weight[:, 1:], padding=1) for grid in grids]
    assert not torch.allclose(small, large[..., :6, :6], atol=1e-3)
    assert rule(CODE).meta.at_size
