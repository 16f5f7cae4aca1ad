"""CL415: a batch norm goes into the layers whose joined results it reads."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convlint
from convlint.ir import nodes as ir
from convlint.tracing import stubs
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings
from tests.rules.test_norm_before_pointwise import _norm

CODE = "CL415"


class Join(nn.Module):
    """Layers on one map, joined, and a norm."""

    def __init__(self, *layers, norm=None, change=lambda ys: ys):
        super().__init__()
        self.layers, self.change = nn.ModuleList(layers), change
        self.norm = norm or nn.BatchNorm2d(sum(map(_width, layers)))

    def forward(self, x):
        x = torch.tanh(x)
        return self.norm(torch.cat(self.change([layer(x) for layer in self.layers]), 1))


def _width(layer):
    return getattr(layer, "out_channels", 4)


def conv(out, k=1, **options):
    return nn.Conv2d(4, out, k, padding=k // 2, **options)


def test_saves_one_pass_over_the_joined_map():
    """Bytes written and read, a kernel, the norm's parameters less a bias for each layer."""
    b = Builder(1, 3, 16, 16)
    x = b.add(ir.Concat(1), [b.conv(b.x, 8), b.conv(b.x, 4, bias=True)], (1, 12, 16, 16))
    b.add(ir.Norm("batch"), [x], (1, 12, 16, 16), params=_norm(12))
    (finding,) = findings(b.graph(), CODE)
    saved, size = finding.saving, 12 * 16 * 16
    assert saved.activation_bytes == 4 * size
    assert saved.bytes_read == 4 * size + 4 * 4 * 12 - 4 * 8
    assert saved.other_ops == 2 * size - 8 * 16 * 16
    assert (saved.params, saved.kernels, saved.macs) == (2 * 12 - 8, 1, 0)


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), widths=st.lists(st.sampled_from([2, 4, 6]), min_size=2, max_size=3),
    k=st.sampled_from([1, 3]), groups=st.sampled_from([1, 2]), bias=st.lists(st.booleans(),
    min_size=3, max_size=3), mode=st.sampled_from(["zeros", "reflect", "circular"]),
    transposed=st.booleans(), affine=st.booleans(), batch=st.integers(1, 2),
)  # fmt: skip
def test_any_layers_keep_their_outputs(
    axes, widths, k, groups, bias, mode, transposed, affine, batch
):  # fmt: skip
    """Convolutions of every kind, with and without a bias."""
    name = f"Conv{'Transpose' if transposed else ''}{axes}d"
    options = {} if transposed else {"padding_mode": mode}
    layers = [
        getattr(nn, name)(4, out, k, padding=k // 2, groups=groups, bias=b, **options)
        for out, b in zip(widths, bias, strict=False)
    ]
    norm = getattr(nn, f"BatchNorm{axes}d")(sum(widths), eps=0.1, affine=affine)
    made = applied(Join(*layers, norm=norm), CODE, torch.randn(batch, 4, *(5,) * axes))
    assert len(made.changes) == 1


def test_linear_layers_norms_and_dropout():
    """Rows of features; a convolution with a norm of its own; dropout before the join."""
    rows = Join(nn.Linear(3, 4), nn.Linear(3, 4, bias=False), norm=nn.BatchNorm1d(8))
    assert len(applied(rows, CODE, torch.randn(5, 3)).changes) == 1
    inner = nn.Sequential(conv(4), nn.BatchNorm2d(4))
    model = Join(inner, nn.Sequential(conv(4, 3), nn.Dropout2d(0.5)))
    assert len(applied(model, CODE, torch.randn(2, 4, 6, 6)).changes) == 1


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Join(conv(4), nn.ReLU()), "channels 4 to 7 are no result of a layer (activation)"),
        (Join(conv(4), nn.Sequential(conv(4), nn.SiLU())), "are no result of a layer"),
        (Join(conv(4), nn.MaxPool2d(3, 1, 1)), "channels 4 to 7 are no result of a layer (pool)"),
        (
            Join(conv(4), change=lambda ys: [ys[0], ys[0]], norm=nn.BatchNorm2d(8)),
            "the result of layers.0 is joined twice",
        ),
        (
            Join(conv(4), conv(4), change=lambda ys: [ys[0], ys[1], ys[0] * 2],
                 norm=nn.BatchNorm2d(12)),
            "others read the result of layers.0 too",
        ),
        (Join(conv(4), nn.Sequential(conv(4), nn.BatchNorm2d(4, affine=False))),
         "has no weight of its own"),
    ],
)  # fmt: skip
def test_parts_that_no_layer_of_their_own_made(model, reason):
    """The reason names the part."""
    (found,) = refused(model, CODE, torch.randn(2, 4, 6, 6))
    assert reason in found


def test_a_part_joined_twice_has_two_norms():
    """Its two copies get other factors, which one weight cannot hold."""
    model = scrambled(Join(conv(4), change=lambda ys: [ys[0], ys[0]], norm=nn.BatchNorm2d(8)))
    first, second = model(torch.randn(2, 4, 6, 6)).chunk(2, 1)
    assert not torch.allclose(first, second, atol=1e-3)


def test_shared_weights_and_tapped_joins():
    """A layer called twice, a joined map that is returned."""

    class Shared(nn.Module):
        def __init__(self, tapped):
            super().__init__()
            self.a, self.b, self.norm = conv(4), conv(4), nn.BatchNorm2d(8)
            self.tapped = tapped

        def forward(self, x):
            joined = torch.cat([self.a(x), self.b(x)], 1)
            return (joined, self.norm(joined)) if self.tapped else self.a(self.norm(joined)[:, :4])

    x = torch.randn(2, 4, 6, 6)
    assert refused(Shared(False), CODE, x) == ["a uses the weight of a too"]
    assert refused(Shared(True), CODE, x) == ["others read the joined map too"]


def test_goes_before_norm_before_pointwise():
    """Where both could take the norm, the layers before it do: no layer gets another input."""
    b = Builder(1, 3, 16, 16)
    x = b.add(ir.Concat(1), [b.conv(b.x, 8), b.conv(b.x, 4)], (1, 12, 16, 16))
    x = b.add(ir.Norm("batch"), [x], (1, 12, 16, 16), params=_norm(12))
    b.conv(x, 4, 1)
    graph = b.graph()
    assert len(findings(graph, CODE)) == len(findings(graph, "CL414")) == 1
    model = nn.Sequential(Join(conv(4), conv(4, 3)), nn.Conv2d(8, 4, 1))
    report = convlint.lint(model, torch.zeros(1, 4, 8, 8), select=(CODE, "CL414"))
    assert [finding.code for finding in report.findings] == [CODE]


@pytest.mark.parametrize("name", ["densenet121", "inception_next_tiny"])
def test_models_of_timm_that_stay_silent(name):
    """DenseNet's maps have other readers, InceptionNeXt joins an untouched part."""
    stubs.install()
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        model = timm.create_model(name)
    x = torch.zeros(1, 3, 224, 224)
    assert fires(model, CODE, x) == 0
