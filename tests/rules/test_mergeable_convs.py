"""CL408: two linear layers in a row are one, where that is cheaper."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convlint
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
    from convlint.tracing import stubs

    stubs.install()
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    model = torchvision.models.get_model(name, weights=None)
    report = convlint.lint(model, torch.empty(1, 3, 224, 224, device="meta"), select=[CODE])
    share = (report.totals.macs - report.after.exact.macs) / report.totals.macs
    assert share == pytest.approx(saved, abs=0.0001)
