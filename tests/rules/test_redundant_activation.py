"""CL422: activations go where the graph proves that they change nothing, and nowhere else."""

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

CODE = "CL422"


class Chain(nn.Module):
    """conv, ReLU, whatever stands between, an activation."""

    def __init__(self, between, last, axes=2):
        super().__init__()
        self.conv = getattr(nn, f"Conv{axes}d")(2, 4, 3, padding=1)
        self.between, self.last = between, last

    def forward(self, x):
        return self.last(self.between(torch.relu(self.conv(x))))


def test_saves_one_pass_over_the_map():
    """Bytes written and read are those of the map, an operation an element, one kernel."""
    b = Builder(1, 3, 32, 32)
    x = b.relu(b.conv(b.x, 8))
    b.relu(b.same(ir.Mul(2.0), x))
    (finding,) = findings(b.graph(), CODE)
    size = 8 * 32 * 32
    saved = finding.saving
    assert (saved.activation_bytes, saved.bytes_read) == (4 * size, 4 * size)
    assert (saved.other_ops, saved.kernels, saved.macs, saved.params) == (size, 1, 0, 0)


KEEPS = {
    "max-pool": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "avg-pool": nn.AvgPool2d(3, 2, 1),
    "adaptive": nn.AdaptiveAvgPool2d(3),
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    "area": lambda x: F.interpolate(x, size=(5, 5), mode="area"),
    "add": lambda x: x + x.flip(3) + 0.5,
    "product": lambda x: x * torch.sigmoid(x),
    "square": lambda x: (x - 1).square(),
    "concat": lambda x: torch.cat([x, torch.sigmoid(x)], 1),
    "stack": lambda x: torch.stack([x, x.sin().abs()]),
    "pad": nn.ZeroPad2d(2),
    "reflect": nn.ReflectionPad2d(1),
    "moves": lambda x: x.flatten(2).transpose(1, 2).roll(1, 1)[:, ::2],
    "split": lambda x: x.split(1, 1)[-1],
    "dropout": nn.Dropout(0.5),
    "maximum": lambda x: torch.maximum(x, torch.tanh(x) - 5),
    "where": lambda x: torch.where(x > 1, x, torch.exp(x)),
    "mean": lambda x: x.mean((2, 3)),
    "std": lambda x: (x - 3).std(2),
    "softmax": lambda x: (x - 3).softmax(1),
    "softplus": lambda x: F.softplus(x - 3),
    "gelu": lambda x: F.gelu(x),
    "silu": nn.SiLU(),
}
LOSES = {
    "bicubic": nn.Upsample(scale_factor=2, mode="bicubic"),
    "conv": nn.Conv2d(4, 4, 1),
    "norm": nn.BatchNorm2d(4),
    "difference": lambda x: x - x.flip(3),
    "negative": lambda x: -x,
    "scaled": lambda x: x * -0.5,
    "shifted": lambda x: x + -0.5,
    "log_softmax": lambda x: x.log_softmax(1),
    "tanh": lambda x: torch.tanh(x - 1),
    "padded": lambda x: F.pad(x, (1, 1), value=-1.0),
    "clamped": lambda x: x.clamp(-2, -1),
    "empty window": nn.MaxPool2d((1, 2), 1, (0, 1), dilation=(1, 2)),
}


@pytest.mark.parametrize("name", KEEPS)
def test_what_keeps_values_from_zero_on(name):
    """The last ReLU is found and taken out, outputs equal in float64."""
    made = applied(Chain(KEEPS[name], nn.ReLU()), CODE, torch.randn(2, 2, 8, 8))
    assert len(made.changes) == 1
    assert made.largest_difference == 0


@pytest.mark.parametrize("name", LOSES)
def test_what_lets_values_under_zero(name):
    """The last ReLU stays, and taking it out would change the outputs."""
    x = torch.randn(2, 2, 8, 1 if name == "empty window" else 8)
    model = scrambled(Chain(LOSES[name], nn.ReLU()))
    assert fires(model, CODE, x) == 0
    without = Chain(model.between, nn.Identity())
    without.conv = model.conv
    assert not torch.allclose(model(x), without(x))


def test_bicubic_is_refused_by_name():
    """The overshoot is the reason."""
    model = Chain(LOSES["bicubic"], nn.ReLU())
    assert refused(model, CODE, torch.randn(1, 2, 8, 8)) == [
        "bicubic interpolation overshoots below 0"
    ]


@pytest.mark.parametrize(
    ("last", "changes"),
    [
        (nn.ReLU(), 1), (nn.LeakyReLU(0.3), 1), (nn.PReLU(), 1), (nn.ELU(), 1), (nn.CELU(), 1),
        (torch.abs, 1), (nn.ReLU6(), 1), (nn.GELU(), 0), (nn.Hardswish(), 0), (nn.SELU(), 0),
        (nn.Hardtanh(), 0), (nn.Tanh(), 0), (nn.Threshold(1.0, 0.0), 0),
    ],
)  # fmt: skip
def test_which_activations_return_what_they_read(last, changes):
    """Those that are x from 0 on, up to 6 for ReLU6; a PReLU takes its weight with it."""
    model = Chain(nn.Sequential(nn.Sigmoid(), nn.MaxPool2d(2)), last)
    made = applied(model, CODE, torch.randn(1, 2, 8, 8))
    assert len(made.changes) == changes
    kept = 0 if changes else sum(p.numel() for p in getattr(last, "parameters", list)())
    assert sum(p.numel() for p in made.module.parameters()) == 2 * 4 * 9 + 4 + kept


def test_a_relu6_that_still_cuts_stays():
    """Values up to 12, or unbounded ones, are cut at 6."""
    b = Builder(1, 3, 8, 8)
    six = b.same(ir.Activation("relu6"), b.conv(b.x, 8))
    b.same(ir.Activation("relu6"), b.sum(six, six))
    assert findings(b.graph(), CODE) == ()
    assert reasons(b.graph(), CODE) == ["the values are at most 12, and it cuts them at 6"]
    x = torch.full((1,), 5.0)
    assert not torch.equal(F.relu6(x + x), x + x)


def test_a_relu_that_only_relu6_reads():
    """relu6(relu(x)) is relu6(x), and only one of the two goes."""
    made = applied(Chain(nn.Identity(), nn.ReLU6()), CODE, torch.randn(1, 2, 8, 8))
    assert len(made.changes) == 1
    called = [n.target for n in made.module.graph.nodes if n.op.startswith("call_")]
    assert called == ["conv", "between", "last"]


def test_a_relu_that_others_read_too_stays_before_a_relu6():
    """The ReLU's own values are returned."""

    class Tapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3)

        def forward(self, x):
            x = torch.relu(self.conv(x))
            return F.relu6(x), x

    assert fires(Tapped(), CODE, torch.randn(1, 2, 8, 8)) == 0


def test_sigmoid_between_relu_and_relu6_takes_each_once():
    """Two proofs on neighbours at once: relu6(relu(sigmoid)) is the sigmoid."""
    between = nn.Sequential(nn.Sigmoid(), nn.ReLU())
    made = applied(Chain(between, nn.ReLU6()), CODE, torch.randn(1, 2, 8, 8))
    assert len(made.changes) == 2


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_number_of_axes(axes):
    """1-D, 2-D and 3-D maps count alike."""
    pool = getattr(nn, f"MaxPool{axes}d")(2)
    made = applied(Chain(pool, nn.ReLU(), axes), CODE, torch.randn(1, 2, *(4,) * axes))
    assert len(made.changes) == 1


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.sampled_from([n for n in (*KEEPS, *LOSES) if n not in ("empty window",)]), max_size=4
    ),
    st.sampled_from(["relu", "abs", "leaky_relu", "relu6"]),
    st.integers(0, 99),
)
def test_any_chain_keeps_its_outputs(names, last, seed):
    """Whatever stands between, where the rule fires the outputs stay bit-equal."""
    torch.manual_seed(seed)
    steps = {**KEEPS, **LOSES}

    class Any(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3, padding=1)

        def forward(self, x):
            x = torch.relu(self.conv(x))
            for name in names:
                if name not in ("conv", "norm") and (x.ndim == 4 or name in _ANY_RANK):
                    x = steps[name](x)
            return getattr(torch, last)(x) if last == "abs" else getattr(F, last)(x)

    made = applied(Any(), CODE, torch.randn(1, 2, 9, 9))
    assert made.largest_difference in (None, 0)


_ANY_RANK = frozenset({"product", "scaled", "shifted", "negative", "dropout"})


@pytest.mark.parametrize(
    ("name", "count", "share"), [("legacy_seresnet34", 13, 0.078), ("legacy_seresnet18", 5, 0.059)]
)
def test_squeeze_and_excitation_blocks_of_timm(name, count, share):
    """Their gate keeps a ReLU's sign, so that the block's last ReLU has nothing to cut."""
    stubs.install()
    timm = pytest.importorskip("timm")
    report = convlint.lint(timm.create_model(name), torch.zeros(1, 3, 224, 224), select=(CODE,))
    assert sum(finding.sites for finding in report.findings) == count
    saved = sum(finding.saving.activation_bytes for finding in report.findings)
    assert saved / report.totals.activation_bytes == pytest.approx(share, abs=0.0006)


def test_a_plain_residual_net_is_silent():
    """A BN before the sum may be negative."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.resnet18(weights=None)
    assert fires(model, CODE, torch.zeros(1, 3, 64, 64)) == 0
