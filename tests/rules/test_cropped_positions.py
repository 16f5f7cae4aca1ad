"""CL418: positions that a crop throws away are not computed in the first place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convlint.ir import nodes as ir
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings

CODE = "CL418"


class Then(nn.Module):
    """A layer, something behind it, and a crop."""

    def __init__(self, layer, crop, *behind):
        super().__init__()
        self.layer, self.behind, self.crop = layer, nn.Sequential(*behind), crop

    def forward(self, x):
        return self.crop(self.behind(self.layer(x)))


def _cut(b, y, start, stop, axis=2):
    shape = list(b.shape(y))
    shape[axis] = stop - start
    return b.add(ir.Slice((ir.SliceAxis(axis, start, stop),)), [y], tuple(shape))


def test_saves_the_share_of_the_positions_cut_off():
    """TCN: kernel 7, dilation 64 on 784 steps computes 1168 positions and keeps 784."""
    b = Builder(1, 25, 784)
    y = b.conv(b.x, 25, 7, padding=384, dilation=64, module="conv")
    _cut(b, y, 0, 784)
    (finding,) = findings(b.graph(), CODE)
    assert finding.saving.macs == 384 * 25 * 25 * 7
    assert finding.saving.macs_percent == pytest.approx(100 * 384 / 1168, abs=0.01)
    assert finding.saving.params == 0
    assert finding.saving.activation_bytes == 4 * 25 * 384
    assert "0 before and 384 after" in finding.message


@settings(max_examples=20, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(1, 4), stride=st.integers(1, 2),
    padding=st.integers(0, 3), dilation=st.integers(1, 2), groups=st.sampled_from([1, 2]),
    bias=st.booleans(), norm=st.booleans(), front=st.integers(0, 2), back=st.integers(0, 2),
    transposed=st.booleans(),
)  # fmt: skip
def test_any_crop_keeps_its_outputs(
    axes, k, stride, padding, dilation, groups, bias, norm, front, back, transposed
):
    """Both sides, strides, norms and activations between, transposed layers too."""
    assume(front + back)
    kind = f"Conv{'Transpose' if transposed else ''}{axes}d"
    layer = getattr(nn, kind)(4, 6, k, stride, padding, dilation=dilation, groups=groups, bias=bias)
    behind = [getattr(nn, f"BatchNorm{axes}d")(6), nn.PReLU(6), nn.Dropout()] if norm else []
    x = torch.randn(2, 4, *(7,) * axes)
    try:
        size = layer(x).shape[2]
    except RuntimeError:
        assume(False)
    assume(size > front + back)

    def crop(y):
        return y[:, :, front : size - back]

    made = applied(Then(layer, crop, *behind), CODE, x)
    assert len(made.changes) == 1 or transposed


@pytest.mark.parametrize(
    "crop",
    [
        lambda y: y[:, :, :-2],
        lambda y: y.narrow(2, 1, 5),
        lambda y: F.pad(y, (0, -3)),
        lambda y: y.split([4, y.shape[2] - 4], 2)[1],
        lambda y: y[:, :, -1],
        lambda y: y[..., 3, None],
    ],
)
def test_every_spelling_of_a_crop(crop):
    """Slices, narrow, negative padding, a part of a split, one position."""
    made = applied(Then(nn.Conv1d(3, 4, 3, padding=2), crop), CODE, torch.randn(1, 3, 9))
    assert len(made.changes) == 1


def test_weight_normed_and_functional_and_shared_layers():
    """The weight is folded where it is computed; other weights stay what they are."""
    chomp = lambda y: y[:, :, :-4]  # noqa: E731
    x = torch.randn(1, 3, 9)
    for norm in (nn.utils.parametrizations.weight_norm, nn.utils.weight_norm):
        normed = norm(nn.Conv1d(3, 4, 3, padding=4, dilation=2))
        assert len(applied(Then(normed, chomp), CODE, x).changes) == 1

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(3, 3, 3))

        def forward(self, x):
            y = F.conv1d(x, self.w, padding=2)[..., :-2]
            return F.conv1d(y, self.w, padding=2)[..., :-2]

    made = applied(Functional(), CODE, x)
    assert len(made.changes) == 2
    assert sum(p.numel() for p in made.module.parameters()) == 27


def test_borders_that_are_mirrored():
    """Kept even they may shrink; uneven ones are refused."""

    def conv():
        return nn.Conv1d(3, 4, 5, padding=2, padding_mode="reflect")

    x = torch.randn(1, 3, 9)
    assert len(applied(Then(conv(), lambda y: y[:, :, 1:-1]), CODE, x).changes) == 1
    assert refused(Then(conv(), lambda y: y[:, :, 1:]), CODE, x) == [
        "its reflect padding would become uneven"
    ]


def test_a_transposed_cut_has_to_be_even():
    """What is left over has to fit the output padding."""

    def up():
        return nn.ConvTranspose1d(3, 4, 4, 2)

    x = torch.randn(1, 3, 5)
    assert len(applied(Then(up(), lambda y: y[:, :, 1:-1]), CODE, x).changes) == 1
    assert len(applied(Then(up(), lambda y: y[:, :, 2:-1]), CODE, x).changes) == 1
    assert refused(Then(up(), lambda y: y[:, :, :-2]), CODE, x) == [
        "a transposed conv cannot leave out 0 before and 2 after"
    ]


def test_what_is_read_before_the_crop_is_refused():
    """The positions cut off are needed: without them the other result would change."""

    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(3, 4, 3, padding=2)

        def forward(self, x):
            y = torch.relu(self.conv(x))
            return y[:, :, :-2], y.amax(2)

    model, x = scrambled(Skip()), torch.randn(1, 3, 9)
    assert refused(model, CODE, x) == ["its result is read before the crop too"]
    rows = torch.randn(64, 3, 9)
    causal = F.conv1d(F.pad(rows, (2, 0)), model.conv.weight, model.conv.bias)
    assert not torch.allclose(model(rows)[1], torch.relu(causal).amax(2), atol=1e-3)


def test_what_is_no_crop_of_positions_is_silent():
    """Lattices, channels, batches, whole maps and growing paddings are other things."""
    x = torch.randn(2, 3, 9)
    for crop in (
        lambda y: y[:, :, ::2], lambda y: y[:, :2], lambda y: y[:1], lambda y: y[:, :, :99],
        lambda y: F.pad(y, (1, -1)), lambda y: torch.cat(y.split([4, y.shape[2] - 4], 2)[::-1], 2),
    ):  # fmt: skip
        assert fires(Then(nn.Conv1d(3, 4, 3, padding=2), crop), CODE, x) == 0


def test_a_computed_kernel_is_refused():
    """Its weight is no parameter."""

    class Computed(nn.Module):
        def forward(self, x):
            return F.conv1d(x, x.mean().expand(4, 3, 3), padding=2)[..., :-2]

    assert refused(Computed(), CODE, torch.randn(1, 3, 9)) == ["its kernel is computed in forward"]


def test_an_uneven_wrong_side_would_differ():
    """The crop tells which side is padded: the other one gives other values."""
    conv = scrambled(nn.Conv1d(3, 4, 3, padding=2))
    x = torch.randn(1, 3, 9)
    right = F.conv1d(F.pad(x, (2, 0)), conv.weight, conv.bias)
    wrong = F.conv1d(F.pad(x, (0, 2)), conv.weight, conv.bias)
    assert torch.allclose(conv(x)[..., :-2], right, atol=1e-5)
    assert not torch.allclose(conv(x)[..., :-2], wrong, atol=1e-3)
