"""The 26 small cases on which counters in use disagree; MACs derived by hand.

x is 1x16x16x16 unless said. A dense 3x3 conv 16 -> 32 at the same size is
32 * 16 * 9 * 256 = 1,179,648 MACs (M), and 16 -> 16 is 589,824 (S).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convlint import cost
from convlint.ir.codec import open_document
from convlint.tracing.inline import read_instance

M = 32 * 16 * 9 * 256
S = 16 * 16 * 9 * 256
X = (1, 16, 16, 16)


class Fn(nn.Module):
    """A module whose forward is a function of (self, x)."""

    def __init__(self, forward: Callable[[Any, torch.Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        self._function = forward
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: torch.Tensor) -> Any:
        return self._function(self, x)


class PlainSubclass(nn.Conv2d):
    pass


class Standardised(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class FunctionalConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 16, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight, padding=1)


class TwoParents(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        shared = nn.Conv2d(16, 16, 3, padding=1)
        self.a = nn.Sequential(shared)
        self.b = nn.Sequential(nn.ReLU(), shared)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(x))


def conv(cin: int = 16, cout: int = 32, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, 3, **{"padding": 1, "bias": False, **options})


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "conv": (conv, X, M),
    "conv with bias": (lambda: conv(bias=True), X, M),
    "dilated": (lambda: conv(dilation=2, padding=2), X, M),
    "padding same": (lambda: conv(padding="same"), X, M),
    "F.conv2d": (FunctionalConv, X, M),
    "plain subclass": (lambda: PlainSubclass(16, 32, 3, padding=1), X, M),
    "weight-standardised subclass": (lambda: Standardised(16, 32, 3, padding=1), X, M),
    "weight_norm": (lambda: nn.utils.parametrizations.weight_norm(conv()), X, M),
    "grouped": (lambda: conv(groups=4), X, M // 4),
    "depthwise": (lambda: conv(16, 16, groups=16), X, 16 * 9 * 256),
    # transposed: input positions * Cin * Cout * 4 taps
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(16, 32, 2, 2, bias=False), X, 256 * 16 * 32 * 4),
    "ConvTranspose2d groups": (
        lambda: nn.ConvTranspose2d(16, 32, 2, 2, groups=4, bias=False),
        X,
        256 * 16 * 32 * 4 // 4,
    ),
    "Conv1d": (lambda: nn.Conv1d(16, 32, 3, padding=1), (1, 16, 256), 32 * 16 * 3 * 256),
    "Conv3d": (lambda: nn.Conv3d(16, 32, 3, padding=1), (1, 16, 4, 8, 8), 32 * 16 * 27 * 256),
    "called twice": (lambda: Fn(lambda m, x: m.c(m.c(x)), c=conv(16, 16)), X, 2 * S),
    "two parents": (TwoParents, X, 2 * S),
    "unused beside used": (lambda: Fn(lambda m, x: m.a(x), a=conv(16, 16), b=conv()), X, S),
    "child.forward": (lambda: Fn(lambda m, x: m.c.forward(x), c=conv(16, 16)), X, S),
    "batch 2": (conv, (2, 16, 16, 16), 2 * M),
    "Linear on 3-D": (lambda: nn.Linear(64, 32), (1, 10, 64), 10 * 64 * 32),
    # 4 heads * 64 x 16 x 64
    "q @ k": (lambda: Fn(lambda m, x: x @ x.transpose(-1, -2)), (1, 4, 64, 16), 4 * 64 * 16 * 64),
    "einsum": (
        lambda: Fn(lambda m, x: torch.einsum("bhid,bhjd->bhij", x, x)),
        (1, 4, 64, 16),
        4 * 64 * 16 * 64,
    ),
    "scaled_dot_product_attention": (
        lambda: Fn(lambda m, x: F.scaled_dot_product_attention(x, x, x)),
        (1, 4, 64, 16),
        2 * 4 * 64 * 16 * 64,
    ),
    # 3 + 1 projections of 64 positions 64 -> 64, and the two products
    "MultiheadAttention": (
        lambda: Fn(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(64, 4, batch_first=True)),
        (1, 64, 64),
        4 * 64 * 64 * 64 + 2 * 64 * 64 * 64,
    ),
    "BatchNorm alone": (lambda: nn.BatchNorm2d(16), X, 0),
    "bilinear x2": (
        lambda: Fn(lambda m, x: F.interpolate(x, scale_factor=2, mode="bilinear")),
        X,
        0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_macs_equal_the_derivation_and_torchs_own_counter(name: str) -> None:
    """Every case costs what the formula says, and what FlopCounterMode counts on meta."""
    make, shape, expected = CASES[name]
    model = make().eval()
    reply = read_instance(model, (torch.randn(shape),), {}, target=name)
    assert reply.failure is None and reply.graph is not None
    counted = cost.count(open_document(reply.graph))
    assert counted.macs == expected
    meta = copy.deepcopy(model).to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        meta(torch.empty(shape, device="meta"))
    assert counter.get_total_flops() == 2 * expected
    assert counted.params == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", CASES)
def test_reading_leaves_the_model_as_it_was(name: str) -> None:
    """No key, hook, flag, value or identity of the model changes, nor torch's own functions."""
    make, shape, _ = CASES[name]
    model = make().train()
    keys, values = list(model.state_dict()), [v.clone() for v in model.state_dict().values()]
    ids = [id(t) for t in (*model.parameters(), *model.buffers())]
    torches = (nn.Module.__call__, nn.Module.__init__, torch.conv2d, F.conv2d, torch.matmul)
    default = (torch.get_default_dtype(), torch.get_default_device())
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    read_instance(model, (torch.randn(shape),), {}, target=name)
    assert list(model.state_dict()) == keys
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), values, strict=True))
    assert [id(t) for t in (*model.parameters(), *model.buffers())] == ids
    assert all(m.training for m in model.modules())
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()] == hooks
    assert (nn.Module.__call__, nn.Module.__init__, torch.conv2d, F.conv2d, torch.matmul) == torches
    assert (torch.get_default_dtype(), torch.get_default_device()) == default
