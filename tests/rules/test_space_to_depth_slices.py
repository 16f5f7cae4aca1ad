"""CL417: a convolution of strided slices is a strided convolution."""

from __future__ import annotations

import itertools

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

CODE = "CL417"


def _slices(x, factors, order):
    offsets = list(itertools.product(*map(range, factors)))
    return [
        x[(..., *(slice(a, None, r) for a, r in zip(offsets[i], factors, strict=True)))]
        for i in order
    ]


class Focus(nn.Module):
    """All slices in some order, joined for a layer."""

    def __init__(self, layer, factors=(2, 2), order=(0, 2, 1, 3)):
        super().__init__()
        self.layer, self.factors, self.order = layer, factors, order

    def forward(self, x):
        return self.layer(torch.cat(_slices(x, self.factors, self.order), 1))


def test_saves_the_copy_and_nothing_else():
    """YOLOv5's stem at 640: the 12x320x320 map is neither written nor read; MACs stay."""
    b = Builder(1, 3, 64, 64)
    parts = [
        b.add(ir.Slice((ir.SliceAxis(2, i, 64, 2), ir.SliceAxis(3, j, 64, 2))), [b.x], (1, 3, 32, 32))
        for j in range(2)
        for i in range(2)
    ]  # fmt: skip
    b.conv(b.add(ir.Concat(1), parts, (1, 12, 32, 32)), 32, 3, module="conv")
    (finding,) = findings(b.graph(), CODE)
    assert (finding.saving.macs, finding.saving.params) == (0, 0)
    assert finding.saving.activation_bytes == 4 * 12 * 32 * 32
    assert finding.saving.bytes_read == 4 * 12 * 32 * 32
    assert "6x6 conv with stride 2" in finding.message
    assert "[(0, 0), (1, 0), (0, 1), (1, 1)]" in finding.instead


@settings(max_examples=20, deadline=None)
@given(
    factors=st.lists(st.integers(1, 3), min_size=1, max_size=3), k=st.integers(1, 3),
    stride=st.integers(1, 2), padding=st.integers(0, 2), bias=st.booleans(), norm=st.booleans(),
    mode=st.sampled_from(["zeros", "circular"]), data=st.data(),
)  # fmt: skip
def test_any_order_of_slices_keeps_its_outputs(factors, k, stride, padding, bias, norm, mode, data):
    """One to three axes, factors of their own, strides, borders, joined in any order."""
    axes, parts = len(factors), torch.Size(factors).numel()
    order = data.draw(st.permutations(range(parts)))
    conv = getattr(nn, f"Conv{axes}d")(
        2 * parts, 5, k, stride, padding, bias=bias, padding_mode=mode
    )
    layer = nn.Sequential(conv, getattr(nn, f"BatchNorm{axes}d")(5)) if norm else conv
    x = torch.randn(2, 2, *(6 * r for r in factors))
    made = applied(Focus(layer, factors, order), CODE, x)
    assert len(made.changes) == (parts > 1)


def test_other_spellings():
    """Slices of slices, steps on one axis, a functional conv, two calls of one layer."""

    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(4, 12, 3, 3))

        def forward(self, x):
            rows = [x[:, :, ::2], x[:, :, 1::2]]
            parts = [row[..., start::2] for row in rows for start in (1, 0)]
            return F.conv2d(torch.cat(parts, dim=-3), self.w)

    x = torch.randn(1, 3, 8, 8)
    assert len(applied(Nested(), CODE, x).changes) == 1

    class Twice(Focus):
        def forward(self, x):
            return super().forward(x), super().forward(x * 2)

    assert len(applied(Twice(nn.Conv2d(12, 4, 1)), CODE, x).changes) == 2


def _refusals(layer, x=None):
    return refused(Focus(layer), CODE, torch.randn(1, 2, 8, 8) if x is None else x)


def test_kernels_without_a_strided_twin_are_refused():
    """Each with its reason."""
    assert _refusals(nn.Conv2d(8, 4, 3, groups=2)) == [
        "groups=2: a group reads some of the slices only"
    ]
    assert _refusals(nn.Conv2d(8, 4, 3, padding=2, dilation=2)) == ["dilation 2"]
    assert _refusals(nn.ConvTranspose2d(8, 4, 2)) == ["it is transposed"]
    reflect = nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect")
    assert _refusals(reflect) == ["its padding is reflect"]

    class Computed(nn.Module):
        def forward(self, x):
            return F.conv2d(x, x.mean().expand(4, 8, 3, 3))

    assert _refusals(Computed()) == ["its kernel is computed in forward"]


def test_a_mirrored_border_would_differ():
    """The mirror image of a slice is another one than that of the map."""
    conv = scrambled(nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect"))
    model, x = Focus(conv), torch.randn(1, 2, 8, 8)
    new = torch.zeros(4, 2, 6, 6)
    for i, (a, b) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        new[:, :, a::2, b::2] = conv.weight[:, 2 * i : 2 * i + 2]
    strided = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), new, conv.bias, stride=2)
    assert torch.allclose(model(x)[..., 1:-1, 1:-1], strided[..., 1:-1, 1:-1], atol=1e-4)
    assert not torch.allclose(model(x), strided, atol=1e-3)


def test_other_readers_are_refused():
    """The joined map is returned, or its weight serves another input."""

    class Tapped(Focus):
        def forward(self, x):
            y = torch.cat(_slices(x, self.factors, self.order), 1)
            return y, self.layer(y)

    x = torch.randn(1, 2, 8, 8)
    assert refused(Tapped(nn.Conv2d(8, 4, 1)), CODE, x) == [
        "the concatenation is read elsewhere too"
    ]

    class Shared(Focus):
        def forward(self, x):
            return super().forward(x), self.layer(x.repeat(1, 4, 1, 1))

    assert refused(Shared(nn.Conv2d(8, 4, 1)), CODE, x) == [
        "layer uses the same weight on another input"
    ]


@pytest.mark.parametrize(
    "parts",
    [
        lambda x: [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2]],
        lambda x: [x[..., ::2, ::2]] * 4,
        lambda x: [x[..., :4, :4], x[..., 4:, :4], x[..., :4, 4:], x[..., 4:, 4:]],
        lambda x: [x[..., ::2], (x * 2)[..., 1::2]],
        lambda x: [x[:, :1, ::2], x[:, 1:, 1::2]],
        lambda x: [x[..., 1:7:2], x[..., 2:8:2]],
    ],
)
def test_other_slices_are_silent(parts):
    """A slice is missing or twice there, blocks, other maps, other channels, shifted ones."""

    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(sum(p.shape[1] for p in parts(torch.zeros(1, 2, 8, 8))), 4, 1)

        def forward(self, x):
            return self.conv(torch.cat(parts(x), 1))

    assert fires(Other(), CODE, torch.randn(1, 2, 8, 8)) == 0
