"""CL411: what was computed before is not computed again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convlint.checking import ActiveRule, check_model
from convlint.ir import nodes as ir
from convlint.wire import Reply
from tests.graphs import Builder
from tests.rules.proving import applied, fires, scrambled
from tests.rules.runs import findings, rule
from tests.zoo import graph_of

CODE = "CL411"


class Does(nn.Module):
    """Named layers and a forward."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.does = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.does(self, x)


def test_saves_all_calls_but_the_first():
    """MACs and bytes of every further call, no weights."""
    b = Builder(1, 4, 8, 8)
    calls = [b.conv(b.x, 6, 3, module="conv", line=3) for _ in range(3)]
    b.sum(b.sum(calls[0], calls[1]), calls[2])
    (finding,) = findings(b.graph(), CODE)
    assert finding.saving.macs == 2 * 64 * 6 * 4 * 9
    assert finding.saving.params == 0
    assert finding.saving.kernels == 2
    assert finding.saving.activation_bytes == 2 * 4 * 6 * 64
    assert "2 times" in finding.message


def test_what_follows_goes_with_it():
    """A norm and an activation on equal inputs are equal: one finding, at the conv."""
    b = Builder(1, 4, 8, 8)
    ends = [b.relu(b.conv(b.x, 4, module="conv")) for _ in range(2)]
    b.sum(*ends)
    (finding,) = findings(b.graph(), CODE)
    assert (finding.saving.kernels, finding.modules) == (2, ("conv",))
    assert "1 operation around it is repeated" in finding.message


@settings(max_examples=15, deadline=None)
@given(
    axes=st.integers(1, 3), k=st.integers(1, 3), norm=st.sampled_from(["batch", "instance", "none"]),
    act=st.sampled_from([nn.ReLU, nn.LeakyReLU, nn.GELU, nn.PReLU]), times=st.integers(2, 3),
)  # fmt: skip
def test_any_block_called_again_keeps_its_outputs(axes, k, norm, act, times):
    """Convs, norms of both kinds, activations with and without weights."""
    layers = [getattr(nn, f"Conv{axes}d")(3, 4, k)]
    if norm != "none":
        name = {"batch": "BatchNorm", "instance": "InstanceNorm"}[norm]
        layers.append(getattr(nn, f"{name}{axes}d")(4))
    layers.append(act())
    model = Does(lambda m, x: sum(m.block(x) * i for i in range(times)), block=nn.Sequential(*layers))  # fmt: skip
    made = applied(model, CODE, torch.randn(2, 3, *(6,) * axes))
    assert len(made.changes) >= 1
    assert made.largest_difference < 1e-12


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.a(x) + m.a(x),
        lambda m, x: m.a(x[:, :3]) + m.a(x[:, :3]),
        lambda m, x: torch.cat([F.relu(m.a(x)), torch.relu(m.a(x).contiguous())], 1),
        lambda m, x: m.a(F.avg_pool2d(x, 2)) + m.a(F.avg_pool2d(x, 2)),
        lambda m, x: m.a(x) + m.tied(x),
        lambda m, x: (m.a(x), m.a(x)),
        lambda m, x: m.fc(x.mean((2, 3))) + m.fc(x.mean((2, 3))),
    ],
)
def test_every_spelling_of_the_same(forward):
    """Modules, tied weights, views and functions on the way, results that are returned."""
    a, tied = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    tied.weight, tied.bias = a.weight, a.bias
    made = applied(Does(forward, a=a, tied=tied, fc=nn.Linear(3, 4)), CODE, torch.randn(2, 3, 8, 8))
    assert len(made.changes) == 1


DIFFERENT = {
    "inputs": lambda m, x: m.a(x) + m.a(x + 1),
    "recurrent": lambda m, x: m.same(x + m.same(x)),
    "weights": lambda m, x: m.a(x) + m.b(x),
    "slopes": lambda m, x: F.leaky_relu(x, 0.1) + F.leaky_relu(x, 0.3),
    "bounds": lambda m, x: x.clamp(0, 1) + x.clamp(0, 2),
    "mirrored kernel": lambda m, x: F.conv2d(x, m.a.weight) + F.conv2d(x, m.a.weight.flip(3)),
    "powers": lambda m, x: x.pow(2) + x.pow(3),
    "windows": lambda m, x: F.max_pool2d(x, 2, 1) + F.avg_pool2d(x, 2, 1),
    "widths": lambda m, x: x.std((2, 3)) + x.var((2, 3)),
    "parts": lambda m, x: m.one(x[:, :1]) + m.one(x[:, 1:2]),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_silent(name):
    """One result in the place of both would be another function."""
    layers = {
        "a": nn.Conv2d(3, 4, 3), "b": nn.Conv2d(3, 4, 3), "same": nn.Conv2d(3, 3, 3, padding=1),
        "one": nn.Conv2d(1, 2, 1),
    }  # fmt: skip
    model = scrambled(Does(DIFFERENT[name], **layers))
    assert fires(model, CODE, torch.randn(2, 3, 8, 8)) == 0


def test_one_result_for_both_would_be_wrong_there():
    """The numbers behind the cases above: slopes, mirrored kernels, other inputs."""
    conv = scrambled(nn.Conv2d(3, 4, 3))
    x = torch.randn(1, 3, 8, 8)
    assert not torch.allclose(F.leaky_relu(x, 0.1), F.leaky_relu(x, 0.3), atol=1e-3)
    assert not torch.allclose(F.conv2d(x, conv.weight), F.conv2d(x, conv.weight.flip(3)), atol=1e-3)
    assert not torch.allclose(conv(x), conv(x + 1), atol=1e-3)


def test_random_functions_are_silent():
    """Two calls differ in every run."""
    forward = lambda m, x: (x + torch.rand_like(x)) * (x + torch.rand_like(x))  # noqa: E731
    assert fires(Does(forward), CODE, torch.randn(1, 3, 4, 4)) == 0
    dropped = lambda m, x: F.dropout(x, 0.5, True) + F.dropout(x, 0.5, True)  # noqa: E731
    assert fires(Does(dropped), CODE, torch.randn(1, 3, 4, 4)) == 0
    b = Builder(1, 4, 8, 8)
    ends = [b.same(ir.Opaque("my_op", False), b.x) for _ in range(2)]
    b.sum(*ends)
    assert findings(b.graph(), CODE) == ()


def test_views_alone_are_silent():
    """Slices and reshapes cost nothing."""
    b = Builder(1, 4, 8, 8)
    ends = [b.add(ir.Reshape(), [b.x], (1, 256)) for _ in range(2)]
    b.sum(*ends)
    assert findings(b.graph(), CODE) == ()


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "shufflenet_v2_x0_5"])
def test_known_models_are_silent(name):
    """Nothing is computed twice in them."""
    graph = graph_of(name, 1, 3, 64, 64)
    one = rule(CODE)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    assert check_model(reply, (ActiveRule(one, one.meta.severity, one.options()),)).findings == ()
