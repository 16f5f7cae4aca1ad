"""CL404: a part of one position, convolved as one position and added to the map."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convlint
from convlint.ir import nodes as ir
from convlint.tracing import stubs
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused, scrambled
from tests.rules.runs import findings, reasons

CODE = "CL404"


class Join(nn.Module):
    """A map and a vector, joined by a function, and the layers that read the result."""

    def __init__(self, join, *layers, channels=4, axes=2):
        super().__init__()
        self.stem = getattr(nn, f"Conv{axes}d")(2, channels, 1)
        self.vector = getattr(nn, f"Conv{axes}d")(2, channels, 1)
        self.layers, self.join = nn.ModuleList(layers), join

    def forward(self, x):
        pooled = x.mean(tuple(range(2, x.dim())), keepdim=True)
        joined = self.join(torch.tanh(self.stem(x)), torch.tanh(self.vector(pooled)))
        return tuple(layer(joined) for layer in self.layers)


def spread(v, like, mode="bilinear"):
    return F.interpolate(v, size=like.shape[2:], mode=mode)


X = torch.randn(2, 2, 7, 6)
FIRST = lambda a, v: torch.cat([spread(v, a), a], 1)  # noqa: E731


@pytest.mark.parametrize(("kernel", "size"), [(1, 28), (3, 26)])
def test_saves_the_products_of_all_positions_but_one(kernel, size):
    """MACs Cc x Cout x (k^2 x positions - 1); weights Cc x Cout x (k^2 - 1)."""
    b = Builder(1, 64, 28, 28)
    vector = b.relu(b.conv(b.pool(b.x), 32, 1))
    wide = b.add(ir.Expand(), [vector], (1, 32, 28, 28))
    b.conv(b.add(ir.Concat(1), [wide, b.x], (1, 96, 28, 28)), 48, kernel, padding=0)
    (finding,) = findings(b.graph(), CODE)
    assert finding.saving.macs == 32 * 48 * (kernel**2 * size**2 - 1)
    assert finding.saving.params == 32 * 48 * (kernel**2 - 1)


SPREADS = {
    "bilinear": FIRST,
    "nearest": lambda a, v: torch.cat([a, spread(v, a, "nearest")], 1),
    "bicubic": lambda a, v: torch.cat([a, spread(v, a, "bicubic")], 1),
    "expand": lambda a, v: torch.cat([v.expand(-1, -1, *a.shape[2:]), a], 1),
    "expand_as": lambda a, v: torch.cat([v.expand_as(a), a], 1),
    "repeat": lambda a, v: torch.cat([v.repeat(1, 1, *a.shape[2:]), a], 1),
    "two": lambda a, v: torch.cat([spread(v, a), a, v.sin().expand_as(a)], 1),
    "bent": lambda a, v: torch.cat([F.silu(spread(v, a)), a, a.sin()], 1),
    "alone": lambda a, v: torch.cat([spread(v, a), v.cos().expand_as(a)], 1),
    "nested": lambda a, v: torch.cat([torch.cat([a, spread(v, a)], 1), a.sin()], 1),
    "dropped": lambda a, v: F.dropout(FIRST(a, v), training=False),
}


@pytest.mark.parametrize("name", SPREADS)
@pytest.mark.parametrize("kernel", [1, 3])
def test_every_way_to_spread(name, kernel):
    """In any place, several, bent after the copy, into 1x1 and into unpadded 3x3."""
    join = SPREADS[name]
    width = join(torch.zeros(1, 4, 7, 6), torch.zeros(1, 4, 1, 1)).shape[1]
    made = applied(Join(join, nn.Conv2d(width, 5, kernel)), CODE, X)
    assert [change.code for change in made.changes] == [CODE]
    assert made.report.after.exact.macs < made.report.totals.macs


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), order=st.permutations([0, 1, 1, 0]), cout=st.integers(1, 5),
    k=st.integers(1, 3), stride=st.integers(1, 2), dilation=st.integers(1, 2),
    padding=st.integers(0, 1), mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    bias=st.booleans(), norm=st.booleans(), batch=st.integers(1, 2), layers=st.integers(1, 2),
)  # fmt: skip
def test_any_kernel_keeps_its_outputs(
    axes, order, cout, k, stride, dilation, padding, mode, bias, norm, batch, layers
):
    """Strides, dilations, borders that continue the constant; zero padding is refused."""
    if axes == 3 and mode == "reflect":
        mode = "replicate"

    make = getattr(nn, f"Conv{axes}d")
    convs = [
        make(16, cout, k, stride, padding, dilation, bias=bias, padding_mode=mode)
        for _ in range(layers)
    ]
    if norm:
        convs = [nn.Sequential(conv, getattr(nn, f"BatchNorm{axes}d")(cout)) for conv in convs]

    def spread_apart(a, v):
        return torch.cat(
            [a * (i + 1) if each else (v * (i + 1)).expand_as(a) for i, each in enumerate(order)], 1
        )

    model = Join(spread_apart, *convs, axes=axes)
    x = torch.randn(batch, 2, *(6 + place for place in range(axes)))
    if padding and mode == "zeros":
        assert "with zero padding" in refused(model, CODE, x)[0]
    else:
        made = applied(model, CODE, x)
        assert len(made.changes) == 1 or "would" in refused(model, CODE, x.double())[0]


def test_zero_padding_shows_at_the_border():
    """What the refusal says, in numbers; inside the map the two are equal."""
    conv = scrambled(nn.Conv2d(8, 5, 3, padding=1))
    model = Join(FIRST, conv)
    assert refused(model, CODE, X) == ["3x3 with zero padding: the border sees zeros"]
    a, v = torch.randn(1, 4, 7, 6), torch.randn(1, 4, 1, 1)
    with torch.no_grad():
        expected = conv(FIRST(a, v))
        vector = F.conv2d(v, conv.weight[:, :4].sum((2, 3), keepdim=True))
        other = F.conv2d(a, conv.weight[:, 4:], conv.bias, padding=1) + vector
    difference = (expected - other).abs()
    assert float(difference.max()) > 0.1 * float(expected.abs().max())
    assert float(difference[..., 1:-1, 1:-1].max()) < 1e-4


@pytest.mark.parametrize(
    ("join", "layers", "reason"),
    [
        (FIRST, (nn.Conv2d(8, 4, 1), nn.ReLU()), "the concatenation has other readers"),
        (FIRST, (nn.Conv2d(8, 4, 1, groups=4),), "groups=4: it reads no concatenation whole"),
        (
            lambda a, v: (lambda y: torch.cat([y, a + y], 1))(spread(v, a)),
            (nn.Conv2d(8, 4, 1),),
            "the upsampled map has other readers",
        ),
    ],
)
def test_places_that_are_left_alone(join, layers, reason):
    """Each with its reason."""
    assert refused(Join(join, *layers), CODE, X) == [reason]


def test_a_shared_weight_is_left_alone():
    """Cut for one call, it would be wrong for the other."""

    class Twice(Join):
        def forward(self, x):
            (y,) = super().forward(x)
            return y, self.layers[0](torch.cat([y, y], 1))

    assert refused(Twice(FIRST, nn.Conv2d(8, 4, 1)), CODE, X) == ["layers.0 uses the same weight"]


def test_a_vector_that_is_the_same_for_every_input_is_another_rules():
    """A learned vector makes a constant map (CL419), not a vector to be convolved in each run."""

    class Learned(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.vector = nn.Conv2d(8, 4, 1), nn.Parameter(torch.zeros(1, 4, 1, 1))

        def forward(self, x):
            return self.conv(torch.cat([x, self.vector.expand_as(x)], 1))

    x = torch.randn(1, 4, 7, 6)
    assert fires(Learned(), CODE, x) == 0
    assert refused(Learned(), CODE, x) == []


def test_few_channels_into_many_do_not_pay():
    """6 channels beside 128 into 256: the sum moves more than the products are worth."""
    b = Builder(1, 64, 28, 28)
    vector = b.relu(b.conv(b.pool(b.x), 6, 1))
    wide = b.add(ir.Expand(), [vector], (1, 6, 28, 28))
    other = b.relu(b.conv(b.x, 64, 3))
    parts = [wide, b.x, other]
    b.conv(b.add(ir.Concat(1), parts, (1, 134, 28, 28)), 256, 1)
    (reason,) = reasons(b.graph(), CODE)
    assert reason.startswith("it would move ")
    assert reason.endswith("MACs for each, under 4")


@pytest.mark.parametrize(
    "join",
    [
        lambda a, v: torch.cat([a, a.sin()], 1),
        lambda a, v: torch.cat([v, v.sin()], 1).expand(-1, -1, 7, 6).relu(),
        lambda a, v: torch.cat([a, a.mean((2, 3), keepdim=True) + a], 1),
    ],
)
def test_what_is_no_place_at_all(join):
    """Maps alone, a vector spread after it was joined, a sum with a vector."""
    assert fires(Join(join, nn.Conv2d(8, 3, 1)), CODE, X) == 0
    assert refused(Join(join, nn.Conv2d(8, 3, 1)), CODE, X) == []


def test_yields_where_parts_of_other_sizes_grew_too():
    """CL403 takes all parts of one concatenation at once."""
    join = lambda a, v: torch.cat(  # noqa: E731
        [a, spread(F.adaptive_avg_pool2d(a, 2), a), spread(v, a)], 1
    )
    model = scrambled(Join(join, nn.Conv2d(12, 4, 1)))
    report = convlint.lint(model, X, select=(CODE, "CL403"))
    assert [finding.code for finding in report.findings] == ["CL403"]
    alone = convlint.lint(model, X, select=(CODE,))
    assert [finding.code for finding in alone.findings] == [CODE]
    made = convlint.apply(model.double(), X.double(), rules=(CODE, "CL403"))
    assert {change.code for change in made.changes} == {"CL403"}
    assert made.largest_difference < 1e-12


def test_the_words():
    """The sizes, the sum to write, how the weight is cut."""
    b = Builder(1, 64, 28, 28)
    vector = b.relu(b.conv(b.pool(b.x), 32, 1))
    wide = b.add(ir.Expand(), [vector], (1, 32, 28, 28))
    b.conv(b.add(ir.Concat(1), [b.x, wide], (1, 96, 28, 28)), 48, 3, padding=0, line=7)
    (finding,) = findings(b.graph(), CODE)
    assert finding.message == (
        "3x3 conv 96->48 reads 32 channels that have one value each, spread over 28x28: convolved "
        "as one position and added, they give the same"
    )
    assert finding.instead.splitlines() == [
        "x = conv_rest(rest)  # nn.Conv2d(64, 48, 3, bias=False)",
        "x = x + conv_a(a)  # nn.Conv2d(32, 48, 1, bias=False)",
        "# the old weight w, cut: conv_rest w[:, 0:64]; conv_a w[:, 64:96].sum((2, 3), keepdim=True)",
    ]


@pytest.mark.parametrize(
    ("name", "size", "percent"),
    [("deeplabv3_resnet50", 65, 0.16), ("deeplabv3_mobilenet_v3_large", 33, 0.68)],
)
def test_the_pooled_branch_of_deeplab(name, size, percent):
    """256 of 1280 channels of the projection have one value each."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        build = getattr(torchvision.models.segmentation, name)
        model = build(weights=None, weights_backbone=None)
    report = convlint.lint(model, torch.zeros(1, 3, 520, 520), select=(CODE,))
    (finding,) = report.findings
    assert finding.modules == ("classifier.0.project.0",)
    assert finding.saving.macs == 256 * 256 * (size * size - 1)
    assert finding.saving.macs_percent == pytest.approx(percent, abs=0.01)
