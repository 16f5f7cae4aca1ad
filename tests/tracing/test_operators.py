"""Compiled operators: torchvision's stand-ins are right, unknown ones are said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convlint import cost
from convlint.ir import nodes as ir
from convlint.ir.codec import open_document
from convlint.tracing import stand_ins, stubs
from convlint.tracing.inline import read_instance


def test_deform_conv_without_offsets_is_a_conv() -> None:
    """Zero offsets give the conv itself, shifted ones the conv of the shifted map."""
    x, weight, bias = torch.rand(2, 4, 9, 9), torch.rand(6, 2, 3, 3), torch.rand(6)
    offset, mask = torch.zeros(2, 18, 5, 5), torch.full((2, 9, 5, 5), 0.5)
    rest = (2, 2, 1, 1, 1, 1, 2, 1)
    plain = stand_ins.deform_conv2d(x, weight, offset, mask, bias, *rest, False)
    expected = F.conv2d(x, weight, bias, stride=2, padding=1, groups=2)
    torch.testing.assert_close(plain, expected)
    gated = stand_ins.deform_conv2d(x, weight, offset, mask, bias, *rest, True)
    torch.testing.assert_close(gated, (expected - bias[:, None, None]) / 2 + bias[:, None, None])
    offset[:, 0::2] = 1
    shifted = stand_ins.deform_conv2d(x, weight, offset, mask, bias, *rest, False)
    below = F.conv2d(F.pad(x, (1, 1, 0, 2)), weight, bias, stride=2, groups=2)
    torch.testing.assert_close(shifted, below)


def test_roi_align_equals_torchvisions_own_python() -> None:
    """Values, not only shapes, inside the map."""
    stubs.install()
    module = pytest.importorskip("torchvision.ops.roi_align")
    x, rois = torch.rand(2, 4, 9, 9), torch.tensor([[0, 0.0, 0, 4, 4], [1, 1, 1, 8, 7]])
    for aligned in (True, False):
        expected = module._roi_align.__wrapped__(x, rois, 1.0, 3, 3, 2, aligned)
        torch.testing.assert_close(stand_ins.roi_align(x, rois, 1.0, 3, 3, 2, aligned), expected)
    assert stand_ins.ps_roi_align(x[:, :4], rois, 1.0, 2, 2, 2)[0].shape == (2, 1, 2, 2)
    assert stand_ins.ps_roi_pool(x[:, :4], rois, 1.0, 2, 2)[0].shape == (2, 1, 2, 2)
    pooled, where = stand_ins.roi_pool(x, rois, 1.0, 2, 2)
    assert pooled.shape == where.shape == (2, 4, 2, 2)
    assert pooled[0].amax() == x[0, :, :5, :5].amax()


def test_nms_keeps_the_best_of_what_overlaps() -> None:
    """By falling score, each box dropped that overlaps a kept one more than the threshold."""
    boxes = torch.tensor([[0, 0, 4.0, 4], [0, 0, 4, 4.1], [5, 5, 6, 6]])
    assert stand_ins.nms(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5).tolist() == [1, 2]


class Deformed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        ops = pytest.importorskip("torchvision.ops")
        self.offset = nn.Conv2d(8, 18, 3, padding=1)
        self.conv = ops.DeformConv2d(8, 16, 3, padding=1, groups=2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.conv(x, self.offset(x))


def test_a_deformable_conv_is_counted_and_owns_its_weight() -> None:
    """N * Ho * Wo * Cout * Cin / groups * kh * kw."""
    stubs.install()
    reply = read_instance(Deformed(), (torch.rand(1, 8, 16, 16),), {}, target="deformed")
    assert reply.status == "complete" and reply.graph is not None
    counted = cost.count(open_document(reply.graph))
    assert counted.macs == 256 * 18 * 8 * 9 + 256 * 16 * 4 * 9
    assert counted.params == sum(p.numel() for p in Deformed().parameters())


@pytest.fixture
def mixed() -> Iterator[Any]:
    library = torch.library.Library("convlint_test", "DEF")
    library.define("mix(Tensor x, Tensor w) -> Tensor")
    library.impl("mix", lambda x, w: x @ w, "CompositeExplicitAutograd")
    yield torch.ops.convlint_test.mix
    library._destroy()


def test_an_operator_of_somebody_else_may_hold_macs(mixed: Any) -> None:
    """It is an Opaque node with its shapes and the line that calls it."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(16, 16))

        def forward(self, x: torch.Tensor) -> Any:
            return mixed(x, self.weight)

    reply = read_instance(Net(), (torch.rand(1, 8, 16, 16),), {}, target="mixed")
    assert reply.failure is None and reply.graph is not None
    node = next(n for n in open_document(reply.graph) if isinstance(n.op, ir.Opaque))
    assert isinstance(node.op, ir.Opaque)
    assert node.op.target.startswith("mix") and node.op.may_hold_macs
    assert node.outputs[0].shape == (1, 8, 16, 16)
    assert node.called_at is not None and node.called_at.path.endswith("test_operators.py")
