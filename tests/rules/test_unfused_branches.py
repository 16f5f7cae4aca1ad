"""CL409: summed linear branches are one convolution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import convlint
from convlint.tracing import stubs
from tests.rules.proving import applied, fires, refused

CODE = "CL409"


class Branches(nn.Module):
    """A sum of branches of one tensor; None is the tensor itself."""

    def __init__(self, *branches, start=0.0):
        super().__init__()
        self.branches, self.start = nn.ModuleList(b or nn.Identity() for b in branches), start

    def forward(self, x):
        total = self.start
        for branch in self.branches:
            total = total + branch(x)
        return total


def _branch(draw, axes, channels, stride):
    kind = draw(st.sampled_from(["conv", "conv", "norm", "identity"] if stride == 1 else ["conv"]))
    norm = getattr(nn, f"BatchNorm{axes}d")
    if kind == "identity":
        return None
    if kind == "norm":
        return norm(channels)
    k = draw(st.sampled_from([1, 3, 5]))
    dilation = draw(st.sampled_from([1, 2])) if k > 1 else 1
    groups = draw(st.sampled_from([1, 2, channels]))
    conv = getattr(nn, f"Conv{axes}d")(
        channels, channels, k, stride, dilation * (k // 2), dilation, groups, draw(st.booleans())
    )
    return nn.Sequential(conv, norm(channels)) if draw(st.booleans()) else conv


@settings(max_examples=12, deadline=None)
@given(data=st.data(), axes=st.integers(1, 3), stride=st.integers(1, 2), batch=st.integers(1, 2))
def test_any_branches_keep_their_sum(data, axes, stride, batch):
    """Kernels, dilations, groups, biases, norms and the tensor itself: where it fires, it is equal."""
    count = data.draw(st.integers(2, 4))
    branches = [_branch(data.draw, axes, 4, stride) for _ in range(count)]
    start = data.draw(st.sampled_from([0.0, 1.5]))
    x = torch.randn(batch, 4, *(7, 6, 5)[:axes])
    made = applied(Branches(*branches, start=start), CODE, x)
    assert made.largest_difference is None or made.largest_difference < 1e-12


def test_saves_all_but_the_largest_kernel():
    """3x3, 1x1 and two norms: the MACs and weights of the 1x1, and three passes."""
    model = Branches(
        nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)),
        nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8)),
        nn.BatchNorm2d(8),
    )
    made = applied(model, CODE, torch.randn(1, 8, 10, 10))
    (finding,) = made.report.findings
    assert finding.saving.macs == 100 * 64
    assert finding.saving.params == 64 + 6 * 8 - 8
    assert finding.saving.kernels == 2 + 3 + 3 - 1
    kinds = [type(m) for m in made.module.modules() if not list(m.children())]
    assert kinds == [nn.Conv2d]


@pytest.mark.parametrize("groups", [1, 4])
def test_a_tensor_added_to_its_own_conv_is_information(groups):
    """No MACs are saved, the pass of the addition is; with a norm or another conv it is a warning."""
    conv = nn.Conv2d(4, 4, 3, 1, 1, groups=groups)
    x = torch.randn(1, 4, 8, 8)
    (finding,) = convlint.lint(Branches(conv, None).eval(), x, select=[CODE]).findings
    assert finding.severity == "info"
    assert (finding.saving.macs, finding.saving.params) == (0, 0)
    assert finding.saving.activation_bytes == 2 * x.numel() * 4  # the sum starts from 0.0
    assert "a tensor is added to its own 3x3 conv 4->4" in finding.message
    assert "# alone, 1 more on the middle tap" in finding.instead
    assert len(applied(Branches(conv, None), CODE, x).changes) == 1
    norm, point = nn.Sequential(conv, nn.BatchNorm2d(4)), nn.Conv2d(4, 4, 1, groups=groups)
    for more in (Branches(norm, None), Branches(conv, nn.BatchNorm2d(4)), Branches(conv, point)):
        (finding,) = convlint.lint(more.float().eval(), x, select=[CODE]).findings
        assert finding.severity == "warning"


def test_other_terms_stay():
    """A residual of another tensor is added as before."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(4, 4, 1)
            self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = torch.relu(self.stem(x))
            return self.a(y) + x + self.b(y)

    assert len(applied(Block(), CODE, torch.randn(1, 4, 6, 6)).changes) == 1


REFUSALS = {
    "strides": ([nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 4)], "different strides"),
    "reflect": (
        [nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 3, padding=1)],
        "one branch has padding of reflect, another of zeros",
    ),
    "centre": ([nn.Conv2d(4, 4, 2, padding="same"), nn.Conv2d(4, 4, 1)], "do not share a centre"),
    "dearer": (
        [nn.Conv2d(4, 4, (1, 7), padding=(0, 3)), nn.Conv2d(4, 4, (7, 1), padding=(3, 0))],
        "it would save -",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused(name):
    """Each with its reason; 1x7 beside 7x1 would be 49 taps in place of 14."""
    branches, reason = REFUSALS[name]
    model, x = Branches(*branches), torch.randn(1, 4, 7, 7)
    assert fires(model, CODE, x) == 0
    assert any(reason in text for text in refused(model, CODE, x)), refused(model, CODE, x)


def test_a_folded_reflection_differs():
    """The wrong fold: a reflected 3x3 and a zero-padded one as one kernel differ at the border."""
    model, x = Branches(*REFUSALS["reflect"][0]).eval(), torch.randn(1, 4, 7, 7)
    first, second = model.branches
    kernel = first.weight + second.weight
    wrong = nn.functional.conv2d(x, kernel, first.bias + second.bias, padding=1)
    right = model(x)
    assert torch.allclose(wrong[..., 1:-1, 1:-1], right[..., 1:-1, 1:-1], atol=1e-5)
    assert not torch.allclose(wrong, right, atol=1e-3)


SAME_PLACE = {
    "valid": [nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3)],
    "patches": [nn.Conv2d(4, 6, 2, 2), nn.Sequential(nn.Conv2d(4, 6, 2, 2), nn.BatchNorm2d(6))],
    "strided": [nn.Conv2d(4, 6, 3, 2, 1), nn.Conv2d(4, 6, 1, 2)],
    "reflect": [nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 1), None],
    "circular": [
        nn.Conv2d(4, 4, 5, padding=2, padding_mode="circular"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    ],
    "a word": [nn.Conv2d(4, 4, 3, padding="same", dilation=2), nn.Conv2d(4, 4, 5, padding=2)],
    "even": [nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 2, padding="same")],
    "dropout": [nn.Sequential(nn.Dropout(), nn.Conv2d(4, 4, 3, padding=1)), nn.Dropout2d()],
    "weight norm": [weight_norm(nn.Conv2d(4, 4, 3, padding=1)), nn.BatchNorm2d(4, affine=False)],
}


@pytest.mark.parametrize("name", SAME_PLACE)
@pytest.mark.parametrize("size", [6, 7])
def test_kernels_that_start_at_one_place(name, size):
    """Padded or not, strided, in modes they share: borders included."""
    made = applied(Branches(*SAME_PLACE[name]), CODE, torch.randn(2, 4, size, size))
    assert len(made.changes) == 1


class Shared(nn.Module):
    """Two sums: of the same layers, or with one of the second's own."""

    def __init__(self, same):
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.c = self.b if same else nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = torch.relu(self.a(x) + self.b(x))
        return self.a(x) + self.c(x)


def test_layers_of_several_sums():
    """Two sums of the same layers share the new one; otherwise each would need another."""
    x = torch.randn(1, 4, 6, 6)
    made = applied(Shared(True), CODE, x)
    assert len(made.changes) == 2
    assert sum(p.numel() for p in made.module.parameters()) == 4 * 4 * 9 + 4
    assert refused(Shared(False), CODE, x) == ["a is also called outside this sum"] * 2


def test_statistics_that_are_computed_and_sums_that_are_scaled_are_silent():
    """A norm without stored statistics, a difference, a weighted sum, seventy terms."""

    class Net(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
            self.m, self.v = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.ones(4))
            self.function = function

        def forward(self, x):
            return self.function(self, self.a(x), self.b(x))

    functions = [
        lambda m, a, b: a + nn.functional.batch_norm(b, m.m * 2, m.v.abs() + 1),
        lambda m, a, b: a - b,
        lambda m, a, b: torch.add(a, b, alpha=2),
        lambda m, a, b: a + torch.relu(b),
        lambda m, a, b: sum([a, b, *(torch.relu(a.detach() * i) for i in range(70))]),
    ]
    for function in functions:
        assert fires(Net(function), CODE, torch.randn(1, 4, 6, 6)) == 0


@pytest.mark.parametrize(
    ("name", "before", "after"), [("mobileone_s0", 1.051, 0.274), ("repvgg_a0", 1.511, 1.360)]
)
def test_models_that_nobody_fused(name, before, after):
    """As timm's own reparameterisation brings them, in GMACs."""
    stubs.install()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    model = timm.create_model(name)
    report = convlint.lint(model, torch.empty(1, 3, 224, 224, device="meta"), select=[CODE])
    assert report.totals.macs / 1e9 == pytest.approx(before, abs=0.002)
    assert report.after.exact.macs / 1e9 == pytest.approx(after, abs=0.002)


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x1_0", "mobilenet_v3_small"])
def test_models_without_such_sums(name):
    """Residual blocks and shuffles are silent."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    model = torchvision.models.get_model(name, weights=None)
    assert fires(model, CODE, torch.empty(1, 3, 224, 224, device="meta")) == 0
