"""CL425: norms written step by step become the one call that torch has."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import convlint
from tests.rules.proving import applied, fires, refused, scrambled

CODE = "CL425"
C = 6


class Net(nn.Module):
    """A pointwise layer, a function of its result and of a weight and a bias, and another one."""

    def __init__(self, function, shape, *, last=False, axes=2):
        super().__init__()
        kind = getattr(nn, f"Conv{axes}d")
        self.first = nn.Linear(3, C) if last else kind(3, C, 1)
        self.then = nn.Linear(C, 4) if last else kind(C, 4, 1)
        self.function = function
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.randn(shape))

    def forward(self, x):
        return self.then(self.function(self.first(x), self.weight, self.bias))


def _mean(x, dim=-1):
    return x.mean(dim, keepdim=True)


def _var(x, dim=-1):
    return x.var(dim, unbiased=False, keepdim=True)


def _textbook(x, w, b, dim=-1):
    u = x.mean(dim, keepdim=True)
    s = (x - u).pow(2).mean(dim, keepdim=True)
    return w * ((x - u) / torch.sqrt(s + 1e-6)) + b


def _moments(x, w, b, dim=-1):
    var, mean = torch.var_mean(x, dim=dim, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(var + 1e-5) * w + b


def _unsqueezed(x, w, b):
    mean, var = x.mean(-1), x.var(-1, False)
    return (x - mean.unsqueeze(-1)) / (var + 1e-5).sqrt()[..., None] * w + b


def _weight_between(x, w, b):
    x = x - x.mean(dim=-1, keepdim=True)
    return w * x * (1 / torch.sqrt((x**2).mean(dim=-1, keepdim=True) + 1e-5)) + b


def _in_place(x, w, b):
    x = x.clone()
    x -= _mean(x)
    x /= torch.sqrt(torch.square(x).mean(-1, True) + 1e-5)
    return x.mul_(w).add_(b)


LAST = {
    "textbook": (_textbook, 2),
    "var_mean": (_moments, 2),
    "unsqueezed": (_unsqueezed, 2),
    "weight between": (_weight_between, 2),
    "in place": (_in_place, 2),
    "std": (lambda x, w, b: (x - _mean(x)) / x.std(-1, False, True) * w + b, 2),
    "power": (lambda x, w, b: b + w * (x - _mean(x)) * (_var(x) + 1e-3) ** -0.5, 2),
    "root": (lambda x, w, b: (x - _mean(x)) * (1 / (_var(x) + 1e-5) ** 0.5) * w + b, 2),
    "reciprocal": (lambda x, w, b: w * ((x - _mean(x)) * (_var(x) + 1).sqrt().reciprocal()) + b, 2),
    "product": (
        lambda x, w, b: (x - _mean(x)) * torch.rsqrt(_mean((x - _mean(x)) * (x - _mean(x))) + 1e-5),
        0,
    ),
    "expanded": (
        lambda x, w, b: (
            (x - _mean(x).expand_as(x)) / (_var(x) + 1e-5).sqrt().expand_as(x) * w.expand_as(x)
        ),
        1,
    ),
    "weight alone": (lambda x, w, b: w * (x - _mean(x)) / (_var(x) + 1e-5).sqrt(), 1),
    "bias alone": (lambda x, w, b: (x - _mean(x)) / (_var(x) + 1e-5).sqrt() + b, 0),
    "gemma": (lambda x, w, b: (x - _mean(x)) * torch.rsqrt(_var(x) + 1e-5) * (1 + w), 0),
    "tripled": (lambda x, w, b: (x - _mean(x)) * torch.rsqrt(_var(x) + 1e-5) * 1.5 * w, 0),
    "gated": (lambda x, w, b: (x - _mean(x)) * torch.rsqrt(_var(x) + 1e-5) * x, 0),
}


def _norms(module):
    """Return the norms of an applied model by name of layer or function, with their weights."""
    found = []
    for node in module.graph.nodes:
        if node.op == "call_module":
            layer = module.get_submodule(node.target)
            if "Norm" in type(layer).__name__:
                has = [
                    name for name in ("weight", "bias") if getattr(layer, name, None) is not None
                ]
                found.append((type(layer).__name__, len(has)))
        elif node.op == "call_function" and "_norm" in node.target.__name__:
            found.append((node.target.__name__, 0))
    return found


def _proved(net, *inputs):
    """Return the applied model; all that its cost promised is counted on it again."""
    made = applied(net, CODE, *inputs)
    double = [x.double() for x in inputs]
    again = convlint.lint(made.module, *double, select=(CODE,)).totals
    promised = made.report.after.exact
    for name in ("macs", "params", "param_bytes", "activation_bytes", "bytes_read", "other_ops"):
        assert getattr(again, name) == getattr(promised, name), name
    return made


@pytest.mark.parametrize("name", LAST)
def test_every_spelling_over_the_last_axis(name):
    """One layer norm with as many of weight and bias as there are."""
    function, weights = LAST[name]
    made = _proved(Net(function, (C,), last=True), torch.randn(2, 5, 3))
    assert len(made.changes) == 1
    wanted = ("LayerNorm", weights) if weights else ("layer_norm", 0)
    assert _norms(made.module) == [wanted]


class Convnext(nn.Module):
    """The channels-first norm of ConvNeXt, twice, with a conv between."""

    def __init__(self, axes=2, shape=(C,)):
        super().__init__()
        kind = getattr(nn, f"Conv{axes}d")
        self.first, self.then = kind(3, C, 1), kind(C, C, 3, padding=1)
        self.weight, self.bias = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.second = nn.Parameter(torch.ones(shape))
        self.places = (1,) * axes

    def norm(self, x, weight):
        def over(w):
            return w.view(C, *self.places)

        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + 1e-6)
        return over(weight) * x + over(self.bias)

    def forward(self, x):
        return self.norm(self.then(self.norm(self.first(x), self.weight)), self.second)


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3),
    batch=st.integers(1, 2),
    size=st.integers(1, 5),
    stored=st.integers(0, 2),
)
def test_the_norm_of_convnext(axes, batch, size, stored):
    """Permuted, normalised over the last axis and permuted back, in any rank and storage."""
    shape = ((C,), (C, *(1,) * axes), (1, C, *(1,) * axes))[stored]
    net, x = Convnext(axes, shape), torch.randn(batch, 3, *(size,) * axes)
    made = _proved(net, x)
    assert len(made.changes) == 2
    shared = len(shape) > 1  # a bias of another shape that both norms read stays where it is
    assert _norms(made.module) == [("LayerNorm", 1 if shared else 2)] * 2


def test_saving_of_convnext_by_hand():
    """10 operations become 1: the map and what is one value a position, as counted by hand."""
    x = torch.randn(1, 3, 8, 8)

    class One(Convnext):
        def forward(self, x):
            return self.norm(self.first(x), self.weight)

    (finding,) = convlint.lint(One(), x, select=(CODE,)).findings
    full, flat = 4 * C * 64, 4 * 64
    saved = finding.saving
    assert saved.kernels == 10 - 1
    # writes: sub, pow, sub, div, mul, add are maps; mean, mean, add, sqrt one value a position
    assert saved.activation_bytes == 6 * full + 4 * flat - full
    reads = (1 + 1 + 1 + 1 + 1 + 1 + 1 + 1) * full + (1 + 1 + 1 + 1 + 1) * flat + 2 * 4 * C
    assert saved.bytes_read == reads - full - 2 * 4 * C
    assert (saved.macs, saved.params) == (0, 0)


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(sorted(LAST)), batch=st.integers(1, 2),
    sizes=st.lists(st.integers(1, 4), max_size=3), seed=st.integers(0, 9),
)  # fmt: skip
def test_any_rank_over_the_last_axis(name, batch, sizes, seed):
    """Rows of a sequence, of a map, or one of each image."""
    torch.manual_seed(seed)
    made = _proved(Net(LAST[name][0], (C,), last=True), torch.randn(batch, *sizes, 3))
    assert len(made.changes) == 1


def _instance(x, w, b, axes):
    places = tuple(range(2, 2 + axes))
    mean, var = x.mean(places, keepdim=True), x.var(places, unbiased=False, keepdim=True)
    return (
        (x - mean) / torch.sqrt(var + 1e-5),
        w.view(1, -1, *(1,) * axes),
        b.view(1, -1, *(1,) * axes),
    )


@pytest.mark.parametrize("weights", [0, 1, 2])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_instance_norm(axes, weights):
    """Over all positions: an instance norm, which holds at every size, with both weights or none."""

    def function(x, w, b):
        x, w, b = _instance(x, w, b, axes)
        x = x * w if weights else x
        return x + b if weights == 2 else x

    net, x = Net(function, (C,), axes=axes), torch.randn(2, 3, *(4,) * axes)
    made = _proved(net, x)
    name = f"InstanceNorm{axes}d" if weights == 2 else "instance_norm"
    if axes == 1 and weights < 2:  # (N, T, C) looks the same: both hold at every size
        name = "layer_norm"
    assert _norms(made.module) == [(name, weights if weights == 2 else 0)]
    larger = torch.randn(2, 3, *(7,) * axes).double()
    with torch.no_grad():
        gap = made.module(larger) - scrambled(net).double()(larger)
    assert gap.abs().max() < 1e-9


def test_instance_norm_of_a_flattened_map():
    """The statistics of adaptive instance norms, taken over a view, without their unbiased form."""

    def function(x, w, b):
        flat = x.view(*x.shape[:2], -1)
        mean = flat.mean(2).view(*x.shape[:2], 1, 1)
        std = (flat.var(2, unbiased=False) + 1e-5).sqrt().view(*x.shape[:2], 1, 1)
        return (x - mean.expand(x.shape)) / std.expand(x.shape)

    made = _proved(Net(function, (C,)), torch.randn(2, 3, 4, 5))
    assert _norms(made.module) == [("instance_norm", 0)]


def test_group_norm_by_hand():
    """Over groups that a view makes: a layer norm of the view; the weights stay outside."""

    def function(x, w, b):
        seen = x.view(x.shape[0], 2, -1)
        seen = (seen - _mean(seen)) / (_var(seen) + 1e-5).sqrt()
        return seen.view(x.shape) * w[:, None, None] + b[:, None, None]

    net, x = Net(function, (C,)), torch.randn(2, 3, 4, 5)
    made = _proved(net, x)
    assert _norms(made.module) == [("layer_norm", 0)]


RMS = {
    "llama": (lambda x, w, b: w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)), 1),
    "quotient": (lambda x, w, b: x / torch.sqrt((x * x).mean(-1, True) + 1e-6) * w + b, 1),
    "bare": (lambda x, w, b: x * (torch.mean(x**2, -1, keepdim=True) + 1e-8) ** -0.5, 0),
}


@pytest.mark.parametrize("name", RMS)
@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 3), (1, 4, 5, 3)])
def test_rms_norm(name, shape):
    """x over the root of its mean square; a bias stays a sum of its own."""
    function, weights = RMS[name]
    made = _proved(Net(function, (C,), last=True), torch.randn(shape))
    assert _norms(made.module) == [("RMSNorm", 1) if weights else ("rms_norm", 0)]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_rms_norm_of_channels_is_refused(axes):
    """The one of timm, over the channels in front: the same function, and no faster."""

    def function(x, w, b):
        v = torch.mean(x.pow(2), dim=1, keepdim=True)
        return x * torch.rsqrt(v + 1e-6) * w.reshape(1, -1, *(1,) * axes)

    net, x = Net(function, (C,), axes=axes), torch.randn(2, 3, *(4,) * axes)
    (reason,) = refused(net, CODE, x)
    assert reason.startswith("an RMS norm over the channels in front: torch has it over the last")
    assert fires(net, CODE, x) == 0


def _outside(x, w, b):
    return w * (x - _mean(x)) / (x.std(-1, unbiased=False, keepdim=True) + 1e-2) + b


def _unbiased(x, w, b):
    return w * (x - _mean(x)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-6) + b


def _outside_rms(x, w, b):
    return x / ((x * x).mean(-1, keepdim=True).sqrt() + 1e-2) * w


@pytest.mark.parametrize(
    ("function", "reason", "near"),
    [
        (_outside, "adds its eps of 0.01 after the root, torch's norms before it", F.layer_norm),
        (_unbiased, "its variance is unbiased: it divides by 5, torch's norms by 6", F.layer_norm),
        (_outside_rms, "adds its eps of 0.01 after the root, torch's norms before it", F.rms_norm),
    ],
)
def test_another_norm_is_refused(function, reason, near):
    """What torch's norm would give instead is another number, by a thousandth and more."""
    net, x = Net(function, (C,), last=True), torch.randn(2, 5, 3)
    assert refused(net, CODE, x) == [reason]
    assert fires(net, CODE, x) == 0
    y, one, none = torch.randn(4, C).double(), torch.ones(C).double(), torch.zeros(C).double()
    eps = 1e-6 if function is _unbiased else 1e-2
    args = (one,) if near is F.rms_norm else (one, none)
    assert (near(y, (C,), *args, eps=eps) - function(y, one, none)).abs().max() > 1e-3


def test_axes_of_no_norm_are_refused():
    """Batch statistics, and positions of a map whose channels come last."""

    def over(*dims):
        def function(x, w, b):
            return (x - x.mean(dims, keepdim=True)) / (
                x.var(dims, unbiased=False, keepdim=True) + 1e-5
            ).sqrt()

        return function

    x = torch.randn(2, 3, 4, 4)
    reason = "takes its mean over axes ({}) of 4, as no norm of torch does"
    assert refused(Net(over(0, 2, 3), (C,)), CODE, x) == [reason.format("0, 2, 3")]
    assert refused(Net(over(1, 2), (C,)), CODE, x) == [reason.format("1, 2")]
    assert fires(Net(over(0, 2, 3), (C,)), CODE, x) == 0


def test_instance_norm_of_nothing_is_refused():
    """Without an eps a constant map is 0/0 by hand, and 0 in torch; one position raises there."""

    def function(x, w, b):
        return (x - _mean(x, (2, 3))) / x.std((2, 3), unbiased=False, keepdim=True)

    reason = "divides by the deviation {}, which torch's instance norm does not"
    net = Net(function, (C,))
    assert refused(net, CODE, torch.randn(1, 3, 4, 4)) == [reason.format("without an eps")]
    assert refused(net, CODE, torch.randn(1, 3, 1, 1)) == [reason.format("over one element")]
    flat = torch.ones(1, C, 4, 4)
    assert bool(function(flat, 1, 0).isnan().all())
    assert bool((F.instance_norm(flat, eps=0.0) == 0).all())
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        F.instance_norm(torch.ones(1, C, 1, 1))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x, w, b: (lambda u: (x - u) / (_var(x) + 1e-5).sqrt() * w + u)(_mean(x)), "mean"),
        (lambda x, w, b: (lambda r: (x - _mean(x)) * r * r.sum())((_var(x) + 1e-5).rsqrt()), ""),
    ],
)
def test_statistics_that_others_read(function, reason):
    """They are needed, so the steps stay."""
    net, x = Net(function, (C,), last=True), torch.randn(2, 5, 3)
    assert fires(net, CODE, x) == 0
    assert [why for why in refused(net, CODE, x) if f"read the {reason}" in why]


def test_a_view_of_the_channels_last_is_refused():
    """It raises on the permuted result; a reshape, or a view of the positions alone, does not."""

    class Flat(Convnext):
        def __init__(self, flat):
            super().__init__()
            self.flat, self.fc = flat, nn.Linear(C * 16, 2)

        def forward(self, x):
            x = self.norm(self.first(x), self.weight)
            return self.fc(self.flat(torch.relu(x)))

    def by_view(y):
        return y.view(y.shape[0], -1)

    x = torch.randn(2, 3, 4, 4)
    reason = "a .view joins channels and positions, and the norm leaves them channels last: a .reshape can"
    assert refused(Flat(by_view), CODE, x) == [reason]
    assert fires(Flat(by_view), CODE, x) == 0
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        by_view(torch.randn(2, 4, 4, C).permute(0, 3, 1, 2))
    for flat in (
        lambda y: y.flatten(1),
        lambda y: by_view(y.contiguous()),
        lambda y: y.view(2, C, 16).reshape(2, -1),
    ):
        assert len(_proved(Flat(flat), x).changes) == 1


def test_a_normalised_map_that_others_read_keeps_its_weight_outside():
    """The norm alone is one call; product and sum stay."""

    def function(x, w, b):
        y = (x - _mean(x)) * torch.rsqrt(_var(x) + 1e-5)
        return w * y + b + y.tanh()

    made = _proved(Net(function, (C,), last=True), torch.randn(2, 5, 3))
    assert _norms(made.module) == [("layer_norm", 0)]


OTHERS = {
    "no mean": lambda x, w, b: x * torch.rsqrt(_var(x) + 1e-5),
    "mean of another axis": lambda x, w, b: (x - _mean(x, 1)) * torch.rsqrt(_var(x) + 1e-5),
    "other power": lambda x, w, b: x * torch.rsqrt(x.pow(4).mean(-1, True) + 1e-5),
    "cube root": lambda x, w, b: (x - _mean(x)) * (_var(x) + 1e-5) ** -0.25,
    "not inverse": lambda x, w, b: (x - _mean(x)) * torch.sqrt(_var(x) + 1e-5),
    "turned": lambda x, w, b: torch.sqrt(_var(x) + 1e-5) / (x - _mean(x)),
    "median": lambda x, w, b: (x - x.amax(-1, True)) * torch.rsqrt(_var(x) + 1e-5),
    "of another": lambda x, w, b: (x - _mean(x)) * torch.rsqrt(_var(x.flip(1)) + 1e-5),
    "sum": lambda x, w, b: x * torch.rsqrt(x.pow(2).sum(-1, True) + 1e-5),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_functions_keep_their_values(name):
    """Silent, or one norm in a longer product; torch's norm on its own is another function."""
    function, x = OTHERS[name], torch.randn(2, 5, 3)
    net = Net(function, (C,), last=True)
    assert fires(net, CODE, x) == 0
    y, one = torch.randn(2, 5, C), torch.ones(C)
    for norm in (F.layer_norm, F.rms_norm):
        assert not torch.allclose(function(y, one, one), norm(y, (C,), eps=1e-5), atol=1e-3)


def test_the_norms_of_torch_are_silent():
    """One call each already."""
    net = nn.Sequential(nn.Conv2d(3, C, 1), nn.GroupNorm(2, C), nn.InstanceNorm2d(C))
    x = torch.randn(1, 3, 4, 4)
    assert (fires(net, CODE, x), refused(net, CODE, x)) == (0, [])
