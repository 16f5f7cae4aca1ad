"""CL416: convolutions of one geometry on one map become one and a split."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convlint
from convlint.tracing import stubs
from tests.rules.proving import applied, fires, refused

CODE, GPU = "CL416", "gpu-fp16"


class Parallel(nn.Module):
    """Layers on one map; ``after`` makes the result of theirs."""

    def __init__(self, *layers, after=lambda *ys: ys):
        super().__init__()
        self.layers, self.after = nn.ModuleList(layers), after

    def forward(self, x):
        x = torch.tanh(x)
        return self.after(*[layer(x) for layer in self.layers])


def conv(out, *geometry, **options):
    return nn.Conv2d(4, out, *geometry, **options)


def test_saves_the_reads_of_all_convs_but_one():
    """No MACs and no weights; one read of the map and one kernel for each further conv."""
    model = Parallel(conv(8, 1), conv(16, 1), conv(2, 1))
    x = torch.randn(1, 4, 16, 16)
    (finding,) = convlint.lint(model, x, select=(CODE,), profile=GPU).findings
    saved = finding.saving
    assert saved.bytes_read == 2 * 4 * 4 * 16 * 16
    assert (saved.macs, saved.params, saved.activation_bytes, saved.kernels) == (0, 0, 0, 2)


@pytest.mark.parametrize(
    ("profile", "count"), [("generic", 0), ("cpu", 0), ("mcu", 0), ("gpu-fp16", 1), ("gpu-int8", 1)]
)
def test_speaks_of_gpus_only(profile, count):
    """Elsewhere a kernel more is no matter."""
    model, x = Parallel(conv(8, 1), conv(16, 1)), torch.randn(1, 4, 16, 16)
    assert fires(model, CODE, x, profile=profile) == count


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    k=st.integers(1, 3), stride=st.integers(1, 2), padding=st.integers(0, 1),
    dilation=st.integers(1, 2), mode=st.sampled_from(["zeros", "reflect", "circular"]),
    biases=st.lists(st.booleans(), min_size=4, max_size=4), norms=st.booleans(),
    batch=st.integers(1, 2),
)  # fmt: skip
def test_any_geometry_keeps_its_outputs(
    axes, widths, k, stride, padding, dilation, mode, biases, norms, batch
):  # fmt: skip
    """Biases where only some have one, norms behind, every border."""
    layers = []
    for width, bias in zip(widths, biases, strict=False):
        made = getattr(nn, f"Conv{axes}d")(
            4, width, k, stride, padding, dilation, bias=bias, padding_mode=mode
        )
        norm = getattr(nn, f"BatchNorm{axes}d")(width)
        layers.append(nn.Sequential(made, norm) if norms else made)
    made = applied(Parallel(*layers), CODE, torch.randn(batch, 4, *(6,) * axes), profile=GPU)
    assert len(made.changes) == 1
    assert made.report.after.exact.macs == made.report.totals.macs


def test_groups_of_two_geometries():
    """Each geometry is a conv of its own."""
    model = Parallel(conv(8, 1), conv(8, 3, padding=1), conv(4, 1), conv(4, 3, padding="same"))
    made = applied(model, CODE, torch.randn(1, 4, 6, 6), profile=GPU)
    assert len(made.changes) == 2
    assert sum(isinstance(m, nn.Conv2d) for m in made.module.modules()) == 2


class Heads(nn.Module):
    """Two heads on levels; ``odd`` calls one of them on another map too."""

    def __init__(self, odd=False):
        super().__init__()
        self.a, self.b, self.odd = conv(3, 3), conv(5, 3), odd

    def forward(self, x):
        small = nn.functional.max_pool2d(x, 2)
        ys = [head(y) for y in (x, small) for head in (self.a, self.b)]
        return [*ys, self.a(torch.relu(x))] if self.odd else ys


def test_heads_on_several_levels_share_the_joined_weight():
    """Called pairwise on two levels they are one conv with two calls."""
    made = applied(Heads(), CODE, torch.randn(1, 4, 12, 12), profile=GPU)
    assert len(made.changes) == 2
    assert sum(p.numel() for p in made.module.parameters()) == 8 * 4 * 9 + 8


def test_a_weight_that_another_map_needs_alone():
    """Joined, it would have to be kept twice."""
    x = torch.randn(1, 4, 12, 12)
    assert fires(Heads(odd=True), CODE, x, profile=GPU) == 0
    assert refused(Heads(odd=True), CODE, x, profile=GPU)[0] == "a is also called on another map"


@pytest.mark.parametrize("norms", [False, True])
def test_branches_that_are_summed_are_another_matter(norms):
    """One conv of the same width does, with half the MACs: no split is needed."""
    layers = [conv(8, 3), conv(8, 3)]
    if norms:
        layers = [nn.Sequential(layer, nn.BatchNorm2d(8)) for layer in layers]
    model = Parallel(*layers, after=lambda a, b: 1 + a + b)
    x = torch.randn(1, 4, 6, 6)
    assert fires(model, CODE, x, profile=GPU) == 0
    assert refused(model, CODE, x, profile=GPU) == [
        "their results are summed: one conv of the same width holds them"
    ]


@pytest.mark.parametrize(
    "other",
    [
        conv(8, 3, stride=2),
        conv(8, 3, padding=1),
        conv(8, 3, dilation=2),
        conv(8, (3, 1)),
        conv(8, 3, groups=2),
        conv(8, 3, padding_mode="reflect", padding=1),
        nn.ConvTranspose2d(4, 8, 3),
        nn.Sequential(nn.ReLU(), conv(8, 3)),
    ],
)
def test_other_geometries_and_inputs(other):
    """They cannot be one conv."""
    assert fires(Parallel(conv(8, 3), other), CODE, torch.randn(1, 4, 8, 8), profile=GPU) == 0


def test_one_conv_called_twice_on_one_map_is_no_pair():
    """The same weight twice is a call too many, not two convs."""
    one = conv(8, 3)
    assert fires(Parallel(one, one), CODE, torch.randn(1, 4, 8, 8), profile=GPU) == 0


@pytest.mark.parametrize(("name", "count"), [("googlenet", 9), ("resnet50", 1)])
def test_torchvision(name, count):
    """The branches of Inception, and the first block of a ResNet beside its shortcut."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision")
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, **options)
    assert fires(model, CODE, torch.zeros(1, 3, 224, 224), profile=GPU) == count
