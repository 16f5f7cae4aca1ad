"""CL102: taps that only ever read padding are cut away."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convlint
from tests.rules.proving import applied, fires, refused

CODE = "CL102"


@settings(max_examples=50, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(2, 5), stride=st.integers(1, 3), padding=st.integers(0, 6),
    dilation=st.integers(1, 6), size=st.integers(1, 5), groups=st.sampled_from([1, 4]),
    bias=st.booleans(),
)  # fmt: skip
def test_any_layer_keeps_its_outputs(axes, k, stride, padding, dilation, size, groups, bias):
    """Kernels, strides, dilations and paddings on maps that are too small for them."""
    if size + 2 * padding < dilation * (k - 1) + 1:
        return
    layer = getattr(nn, f"Conv{axes}d")(4, 4, k, stride, padding, dilation, groups, bias)
    x = torch.randn(1, 4, *(size, size + 1, size)[:axes])
    made = applied(layer, CODE, x)
    dead = _dead(layer, x)
    assert bool(made.changes) is dead
    assert made.largest_difference is None or made.largest_difference < 1e-12


def _dead(layer, x):
    """Tell, by gradients, whether the border taps of some axis never met data."""
    layer = layer.double()
    layer.zero_grad()
    layer(torch.rand_like(x).double() + 1).sum().backward()
    met = (layer.weight.grad != 0).any(0).any(0)
    layer.zero_grad()
    for axis in range(met.dim()):
        rest = [a for a in range(met.dim()) if a != axis]
        line = met.amax(rest) if rest else met
        if not line[0] or not line[-1]:
            return True
    return False


def test_saves_the_share_of_the_dead_taps():
    """Rate 36 on 28x28 leaves 1 of 9 taps; rate 24 is told without a claim, rate 12 is not."""

    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.rates = nn.ModuleList(
                nn.Conv2d(8, 8, 3, padding=r, dilation=r, bias=False) for r in (12, 24, 36)
            )

        def forward(self, x):
            return sum(conv(x) for conv in self.rates)

    report = convlint.lint(Pyramid(), torch.randn(1, 8, 28, 28), select=[CODE])
    by_module = {finding.modules: finding for finding in report.findings}
    assert set(by_module) == {("rates.1",), ("rates.2",)}
    assert by_module["rates.2",].saving.macs == 28 * 28 * 64 * 8
    assert by_module["rates.2",].saving.params == 64 * 8
    assert by_module["rates.1",].saving.macs == 0
    assert by_module["rates.1",].severity == "info"
    assert "18% of its products meet data" in by_module["rates.1",].message


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_that_is_data_is_refused(mode):
    """Cutting the kernel anyway gives other numbers."""
    layer, x = nn.Conv2d(2, 2, 3, padding=1, padding_mode=mode), torch.randn(1, 2, 2, 2)
    layer = (
        nn.Conv2d(2, 2, 5, padding=1, dilation=1, padding_mode=mode) if mode != "reflect" else layer
    )
    wide = nn.Conv2d(2, 2, 3, padding=2, dilation=2, padding_mode="circular")
    assert any("it is data" in text for text in refused(wide, CODE, x))
    middle = nn.functional.conv2d(x, wide.weight[..., 1:2, 1:2], wide.bias)
    assert not torch.allclose(middle, wide(x), atol=1e-3)
    assert fires(layer, CODE, torch.randn(1, 2, 6, 6)) == 0


def test_where_the_size_was_guessed_nothing_is_claimed():
    """The finding is shown with its assumption, and stays out of after.exact and of apply."""

    class Guess(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 224, stride=224)
            self.last = nn.Conv2d(8, 512, 3, padding=1)

        def forward(self, x):
            return self.last(torch.relu(self.stem(x)))

    report = convlint.lint(Guess(), select=[CODE])
    assert [given.origin for given in report.inputs] == ["inferred"]
    (finding,) = report.findings
    assert "an assumption" in finding.message
    assert report.after.exact.macs == report.totals.macs
    assert convlint.apply(Guess(), rules=[CODE]).changes == ()


@pytest.mark.parametrize(
    ("name", "size", "percent"),
    [
        ("resnet18", 32, 18.5), ("resnet50", 32, 6.4), ("squeezenet1_1", 32, 11.7),
        ("efficientnet_b0", 32, 2.3), ("densenet121", 32, 0.9), ("resnet50", 224, 0.0),
        ("mobilenet_v3_small", 224, 0.0),
    ],
)  # fmt: skip
def test_classifiers_on_small_images(name, size, percent):
    """The shares of MACs that the last stages spend on padding at 32x32."""
    report = _report(name, size)
    share = 100 * (report.totals.macs - report.after.exact.macs) / report.totals.macs
    assert share == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize(
    ("name", "size", "giga"),
    [
        ("deeplabv3_resnet50", 224, 3.29), ("deeplabv3_resnet50", 520, 0.0),
        ("deeplabv3_mobilenet_v3_large", 224, 0.771), ("deeplabv3_mobilenet_v3_large", 520, 2.14),
    ],
)  # fmt: skip
def test_segmentation_nets(name, size, giga):
    """The pyramid's large rates on small maps."""
    report = _report(name, size, weights_backbone=None)
    saved = (report.totals.macs - report.after.exact.macs) / 1e9
    assert saved == pytest.approx(giga, abs=0.006)


def _report(name, size, **options):
    from convlint.tracing import build, stubs

    stubs.install()
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    model = build.build(lambda: torchvision.models.get_model(name, weights=None, **options))
    return convlint.lint(model, torch.empty(1, 3, size, size, device="meta"), select=[CODE])
