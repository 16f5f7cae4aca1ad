"""CL412: a pyramid of max-pools is a chain of small ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convlint.ir import nodes as ir
from tests.graphs import Builder
from tests.rules.proving import applied, fires
from tests.rules.runs import findings, reasons, rule

CODE = "CL412"


class Pools(nn.Module):
    """Pools of one map, and the map."""

    def __init__(self, *pools):
        super().__init__()
        self.pools = nn.ModuleList(pools)

    def forward(self, x):
        return [x, *(pool(x) for pool in self.pools)]


def _pool(b, x, *kernel, stride=1):
    op = ir.Pool("max", kernel, (stride,) * len(kernel), tuple(k // 2 for k in kernel))
    return b.same(op, x)


def test_saves_all_but_the_small_windows():
    """5, 9 and 13: 275 comparisons an element become 75; nothing else changes."""
    b = Builder(1, 8, 20, 20)
    pools = [_pool(b, b.x, k, k) for k in (13, 5, 9)]
    b.add(ir.Concat(1), [b.x, *pools], (1, 32, 20, 20))
    (finding,) = findings(b.graph(), CODE)
    assert finding.saving.other_ops == 200 * 8 * 400
    assert finding.saving.macs == finding.saving.params == finding.saving.bytes_read == 0
    assert "275 comparisons" in finding.message
    assert "makes 75" in finding.message


@settings(max_examples=20, deadline=None)
@given(
    axes=st.integers(1, 3), data=st.data(), size=st.integers(1, 9), functional=st.booleans(),
)  # fmt: skip
def test_any_pyramid_keeps_its_outputs(axes, data, size, functional):
    """Bit for bit, on maps smaller than the windows, with a window for each axis."""
    sides = st.sampled_from([1, 3, 5, 7, 9])
    kernels = data.draw(st.lists(st.tuples(*[sides] * axes), min_size=2, max_size=3))
    if functional:

        class Functional(nn.Module):
            def forward(self, x):
                pool = getattr(F, f"max_pool{axes}d")
                return [pool(x, k, 1, [s // 2 for s in k]) for k in kernels]

        model = Functional()
    else:
        kind = getattr(nn, f"MaxPool{axes}d")
        model = Pools(*(kind(k, 1, [s // 2 for s in k]) for k in kernels))
    x = torch.randn(1, 2, *(size,) * axes)
    made = applied(model, CODE, x)
    ordered = sorted(kernels, key=lambda k: torch.Size(k).numel())
    grows = any(
        a != b and all(i <= j for i, j in zip(a, b, strict=True))
        for n, a in enumerate(ordered)
        for b in ordered[n + 1 :]
    )
    assert not made.changes or grows
    assert made.largest_difference in (None, 0.0)


def test_two_levels_are_found_and_chains_are_silent():
    """Parallel pools of one map; SPPF reads the pool before."""
    x = torch.randn(1, 3, 9, 9)
    pools = [nn.MaxPool2d(5, 1, 2), nn.MaxPool2d(9, 1, 4)]
    assert len(applied(Pools(*pools), CODE, x).changes) == 1

    class Chain(nn.Module):
        def forward(self, x):
            a = F.max_pool2d(x, 5, 1, 2)
            return x, a, F.max_pool2d(a, 5, 1, 2)

    assert fires(Chain(), CODE, x) == 0


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(9, 2, 4),
        nn.MaxPool2d(9, 1, 4, return_indices=True),
        nn.MaxPool2d(4, 1, 2),
        nn.MaxPool2d(9, 1, 3),
        nn.MaxPool2d(5, 1, 2, dilation=2),
        nn.AvgPool2d(9, 1, 4),
        nn.LPPool2d(2, 9, 1),
    ],
)
def test_other_pools_are_left_alone(pool):
    """No chain of centred maxima gives their results."""
    model = Pools(nn.MaxPool2d(5, 1, 2), pool)
    assert fires(model, CODE, torch.randn(1, 3, 9, 9)) == 0


def test_their_chains_would_differ():
    """Averages weigh the border otherwise, other paddings and dilations reach elsewhere."""
    x = torch.randn(1, 3, 9, 9)
    small = F.avg_pool2d(x, 5, 1, 2)
    assert not torch.allclose(F.avg_pool2d(small, 5, 1, 2), F.avg_pool2d(x, 9, 1, 4), atol=1e-3)
    top = F.max_pool2d(x, 5, 1, 2)
    assert F.max_pool2d(top, 5, 1, 2).shape != F.max_pool2d(x, 5, 1, 2, dilation=2).shape
    assert F.max_pool2d(top, 5, 1, 2).shape != F.max_pool2d(x, 9, 1, 3).shape


def test_little_saved_is_refused():
    """Beside a model's MACs the comparisons may be nothing."""
    b = Builder(1, 64, 20, 20)
    y = b.conv(b.x, 8, 19)
    b.sum(_pool(b, y, 3, 3), _pool(b, y, 5, 5))
    (reason,) = reasons(b.graph(), CODE)
    assert reason.startswith("it would save 0.0")
    assert len(findings(b.graph(), CODE, options=rule(CODE).options(min_share=0.0))) == 1
