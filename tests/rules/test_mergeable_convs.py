"""CL408: two linear layers in a row are one, where that is cheaper."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

import convlint
from convlint.tracing import stubs
from tests.rules.proving import applied, fires, refused

CODE = "CL408"


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(1, 3), first=st.booleans(), stride=st.integers(1, 2),
    padding=st.integers(0, 1), middle=st.sampled_from([3, 16, 24]), bias=st.tuples(st.booleans(), st.booleans()),
    norm=st.booleans(), transposed=st.booleans(), batch=st.integers(1, 2),
)  # fmt: skip
def test_any_pair_keeps_its_outputs(
    axes, k, first, stride, padding, middle, bias, norm, transposed, batch
):  # fmt: skip
    """Wherever the rule fires: kernels, strides, padding, norms between, transposed layers."""
    kind = "ConvTranspose" if transposed else "Conv"
    sizes = (6, middle, 5)
    wide = getattr(nn, f"{kind}{axes}d")
    point = getattr(nn, f"Conv{axes}d")
    padding = min(padding, k - 1)
    if first:
        layers = [
            wide(6, middle, k, stride, padding, bias=bias[0]),
            point(middle, 5, 1, bias=bias[1]),
        ]
    else:
        layers = [
            point(6, middle, 1, bias=bias[0]),
            wide(middle, 5, k, stride, padding, bias=bias[1]),
        ]
    if norm:
        layers.insert(1, getattr(nn, f"BatchNorm{axes}d")(middle))
    x = torch.randn(batch, sizes[0], *(7, 6, 5)[:axes])
    made = applied(nn.Sequential(*layers), CODE, x)
    assert made.largest_difference is None or made.largest_difference < 1e-12


@pytest.mark.parametrize("bias", [(True, True), (False, True), (True, False), (False, False)])
def test_linear_layers_in_a_row(bias):
    """(a, m) and (m, c) are one (a, c), on any leading axes."""
    model = nn.Sequential(
        nn.Linear(6, 24, bias=bias[0]), nn.Dropout(), nn.Linear(24, 5, bias=bias[1])
    )
    made = applied(model, CODE, torch.randn(2, 3, 6))
    (finding,) = made.report.findings
    assert finding.saving.macs == 6 * (6 * 24 + 24 * 5 - 6 * 5)


def test_saves_what_the_formula_says():
    """16->16 and 16->72 as one 16->72, the norm between taken in."""
    model = nn.Sequential(
        nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16), nn.Conv2d(16, 72, 1, bias=False)
    )
    (finding,) = applied(model, CODE, torch.randn(1, 16, 5, 5)).report.findings
    assert finding.saving.macs == 25 * 16 * 16
    assert finding.saving.params == 16 * 16 + 2 * 16 - 72


class Computed(nn.Module):
    """A kernel made of the input."""

    def forward(self, x):
        return F.conv2d(
            F.conv2d(x, x[:1, :, :1, :1].expand(32, -1, -1, -1)), torch.ones(8, 32, 1, 1)
        )


REFUSALS = {
    "narrow": (nn.Sequential(nn.Conv2d(16, 2, 1), nn.Conv2d(2, 16, 1)), "two are cheaper"),
    "groups": (nn.Sequential(nn.Conv2d(16, 16, 3, groups=16), nn.Conv2d(16, 8, 1)), "groups=16"),
    "shift": (
        nn.Sequential(nn.Conv2d(16, 32, 1), nn.Conv2d(32, 16, 3, padding=1)),
        "does not reach its padding",
    ),
    "padded": (
        nn.Sequential(nn.Conv2d(16, 32, 3), nn.Conv2d(32, 8, 1, padding=1)), "second layer is padded",
    ),
    "strided": (
        nn.Sequential(nn.Conv2d(16, 32, 1, 2, bias=False), nn.Conv2d(32, 8, 3)), "strided or padded",
    ),
    "computed": (Computed(), "a weight is computed in forward"),
    "gaps": (
        nn.Sequential(
            nn.Conv2d(16, 32, 3), nn.ConvTranspose2d(32, 8, 1, dilation=2, output_padding=1)
        ),
        "spreads its input",
    ),
    "spread": (
        nn.Sequential(nn.Conv2d(16, 32, 1), nn.ConvTranspose2d(32, 8, 2, 2)), "transposed layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused(name):
    """Each with its reason."""
    model, reason = REFUSALS[name]
    x = torch.randn(1, 16, 6, 6)
    assert fires(model, CODE, x) == 0
    assert any(reason in text for text in refused(model, CODE, x)), refused(model, CODE, x)


def test_a_shift_folded_through_zero_padding_differs_at_the_border():
    """The wrong merge that other tools ship: right inside, wrong at the edge."""
    first, second = REFUSALS["shift"][0]
    x = torch.randn(1, 16, 6, 6)
    weight = torch.einsum("omhw,mi->oihw", second.weight, first.weight[..., 0, 0])
    bias = second.bias + second.weight.sum((2, 3)) @ first.bias
    wrong, right = F.conv2d(x, weight, bias, padding=1), second(first(x))
    assert torch.allclose(wrong[..., 1:-1, 1:-1], right[..., 1:-1, 1:-1], atol=1e-4)
    assert not torch.allclose(wrong, right, atol=1e-3)


MORE = {
    "reflected": (
        nn.Conv2d(16, 32, 1), nn.Conv2d(32, 8, 3, padding=1, padding_mode="reflect"),
    ),
    "padded first": (
        nn.Conv2d(16, 32, 1, padding=1), nn.BatchNorm2d(32), nn.Conv2d(32, 8, 1, stride=2),
    ),
    "circular first": (
        nn.Conv2d(16, 32, 3, padding=1, padding_mode="circular"), nn.Dropout(), nn.Conv2d(32, 8, 1),
    ),
    "weight norm": (weight_norm(nn.Conv2d(16, 32, 3)), weight_norm(nn.Conv2d(32, 8, 1))),
    "two norms": (
        nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32), nn.BatchNorm2d(32, affine=False), nn.Conv2d(32, 8, 3),
    ),
    "word": (nn.Conv2d(16, 32, 3, padding="same"), nn.Conv2d(32, 8, 1, stride=2)),
}  # fmt: skip


@pytest.mark.parametrize("name", MORE)
def test_pairs_of_every_padding(name):
    """A shift passes padding that copies values; a first layer may pad as it likes."""
    made = applied(nn.Sequential(*MORE[name]), CODE, torch.randn(2, 16, 7, 6))
    assert len(made.changes) == 1


def test_linear_layers_with_a_norm_between():
    """On rows it is a factor and a shift of each feature; on sequences it is one of each place."""
    layers = (nn.Linear(6, 24, bias=False), nn.BatchNorm1d(24), nn.Linear(24, 5, bias=False))
    assert len(applied(nn.Sequential(*layers), CODE, torch.randn(3, 6)).changes) == 1
    places = (layers[0], nn.BatchNorm1d(7), layers[2])
    assert fires(nn.Sequential(*places), CODE, torch.randn(3, 7, 6)) == 0


class Shared(nn.Module):
    """Two pairs, of the same layers or with a second layer of each one's own."""

    def __init__(self, same):
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 16, 3, padding=1), nn.Conv2d(16, 4, 1)
        self.c = self.b if same else nn.Conv2d(16, 4, 1)

    def forward(self, x):
        return self.c(self.a(torch.relu(self.b(self.a(x)))))


def test_layers_of_several_pairs():
    """Two calls of one pair share the new layer; otherwise each would need another."""
    x = torch.randn(1, 4, 6, 6)
    made = applied(Shared(True), CODE, x)
    assert len(made.changes) == 2
    assert sum(p.numel() for p in made.module.parameters()) == 4 * 4 * 9 + 4
    assert refused(Shared(False), CODE, x) == ["a is also called outside this pair"] * 2


def test_statistics_that_are_computed_are_no_norm_to_fold():
    """Their values are not known before the run."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 16, 3), nn.Conv2d(16, 4, 1)
            self.m, self.v = nn.Parameter(torch.zeros(16)), nn.Parameter(torch.ones(16))

        def forward(self, x):
            return self.b(F.batch_norm(self.a(x), self.m * 2, self.v.abs() + 1))

    assert fires(Net(), CODE, torch.randn(1, 4, 6, 6)) == 0


def test_a_middle_that_is_used_elsewhere_is_no_pair():
    """The middle tensor would still be needed."""

    class Tapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 8, 1)

        def forward(self, x):
            middle = self.a(x)
            return self.b(middle), middle

    assert fires(Tapped(), CODE, torch.randn(1, 8, 4, 4)) == 0


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("mobilenet_v3_small", 0.0142),
        ("mobilenet_v2", 0),
        ("shufflenet_v2_x1_0", 0),
        ("densenet121", 0),
    ],
)
def test_torchvision_models(name, saved):
    """mobilenet_v3_small: 16->16 then 16->72, 1.42 % of its MACs; designs stay silent."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    model = torchvision.models.get_model(name, weights=None)
    report = convlint.lint(model, torch.empty(1, 3, 224, 224, device="meta"), select=[CODE])
    share = (report.totals.macs - report.after.exact.macs) / report.totals.macs
    assert share == pytest.approx(saved, abs=0.0001)
