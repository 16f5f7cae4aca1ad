"""Bytes, other operations and the peak, derived by hand on small graphs (float32: 4 bytes)."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from convlint.cost import OtherOps, count
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Param
from tests.graphs import Builder


def test_a_conv_reads_input_and_weights_and_writes_its_result() -> None:
    """16x8x8 in, 32x8x8 out, 3x3 with bias."""
    b = Builder(1, 16, 8, 8)
    x = b.conv(b.x, 32, 3, bias=True)
    cost = count(b.graph()).nodes[x.node]
    assert cost.macs == 32 * 16 * 9 * 64
    assert cost.param_bytes == 4 * (32 * 16 * 9 + 32)
    assert cost.bytes_read == 4 * 16 * 64 + cost.param_bytes
    assert cost.bytes_written == 4 * 32 * 64
    assert cost.intensity == cost.macs / (cost.bytes_read + cost.bytes_written)
    assert cost.other == OtherOps(bias=32 * 64)


@pytest.mark.parametrize(
    ("op", "shape", "expected"),
    [
        (ir.Norm("batch"), (1, 4, 8, 8), OtherOps(norm=2 * 256)),
        (ir.Activation("relu"), (1, 4, 8, 8), OtherOps(activation=256)),
        (ir.Pool("max", (3, 3), (2, 2), (1, 1)), (1, 4, 4, 4), OtherOps(pooling=9 * 64)),
        (ir.Pool("avg", (8, 8), (8, 8), (0, 0), whole=True), (1, 4, 1, 1), OtherOps(pooling=256)),
        (ir.Reduce("mean", (2, 3)), (1, 4), OtherOps(pooling=256)),
        (ir.Upsample("nearest", (2.0, 2.0)), (1, 4, 16, 16), OtherOps(interpolation=1024)),
        (ir.Upsample("bilinear", (2.0, 2.0)), (1, 4, 16, 16), OtherOps(interpolation=4 * 1024)),
        (ir.Upsample("bicubic", (2.0, 2.0)), (1, 4, 16, 16), OtherOps(interpolation=16 * 1024)),
        (ir.Upsample("area", (0.5, 0.5)), (1, 4, 4, 4), OtherOps(interpolation=4 * 64)),
        (ir.Mul(2.0), (1, 4, 8, 8), OtherOps(elementwise=256)),
        (ir.Softmax(1), (1, 4, 8, 8), OtherOps(softmax=512)),
        (ir.Attention(2, 8, 16, 4, 4), (1, 4, 8, 8), OtherOps(softmax=2 * 2 * 8 * 16)),
        (ir.Reshape(), (1, 256), OtherOps()),
    ],
)
def test_other_operations_by_kind(op, shape, expected) -> None:
    """One an element, or one a tap, in the column of their kind; none of them is a MAC."""
    b = Builder(1, 4, 8, 8)
    cost = count(b.graph(b.add(op, [b.x], shape)))
    assert cost.other == expected
    assert cost.other_ops == sum(getattr(expected, name) for name in expected.__struct_fields__)
    assert cost.macs == (2 * 8 * 16 * 8 if isinstance(op, ir.Attention) else 0)


def test_views_move_nothing_and_an_operand_given_twice_is_read_once() -> None:
    """x.view, then y * y."""
    b = Builder(1, 4, 8, 8)
    y = b.add(ir.Reshape(), [b.x], (1, 256))
    z = b.same(ir.Mul(), y, y)
    cost = count(b.graph())
    assert cost.nodes[y.node].bytes_moved == 0
    assert cost.nodes[y.node].intensity is None
    assert cost.nodes[z.node].bytes_read == 4 * 256


def test_a_lookup_reads_the_rows_it_returns() -> None:
    """An embedding table of 1000 rows is not read whole."""
    b = Builder(1, 8)
    table = Param("e.weight", "e.weight", (1000, 16))
    x = b.add(ir.Embedding(1000, 16), [b.x], (1, 8, 16), params=[table])
    assert count(b.graph()).nodes[x.node].bytes_read == 4 * 8 * 16


def test_weights_by_dtype_and_buffers_apart() -> None:
    """A shared half-precision weight counts once; a buffer is no parameter."""
    b = Builder(1, 4, 8, 8)
    half = Param("a.weight", "w", (4, 4, 1, 1), "float16")
    stats = Param("n.running_mean", "m", (4,), buffer=True)
    conv = ir.Conv(4, 4, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    x = b.add(conv, [b.x], (1, 4, 8, 8), params=[half])
    x = b.add(conv, [x], (1, 4, 8, 8), params=[half])
    x = b.add(ir.Norm("batch"), [x], (1, 4, 8, 8), params=[stats])
    x = b.conv(x, 8, 1)
    cost = count(b.graph())
    assert cost.weight_bytes == {"float16": 2 * 16, "float32": 4 * 32}
    assert (cost.params, cost.param_bytes, cost.buffer_bytes) == (48, 160, 16)


def _peak(b: Builder, *inplace: str) -> tuple[int, str]:
    graph = b.graph()
    nodes = tuple(msgspec.structs.replace(n, inplace=n.id in inplace) for n in graph)
    cost = count(ModelGraph(nodes))
    return cost.peak_activation_bytes, cost.peak_module


def test_the_peak_of_a_chain_is_its_two_largest_neighbours() -> None:
    """Input 4, then 8, 16, 4 channels of 8x8: 24 channels alive at once, in the second conv."""
    b = Builder(1, 4, 8, 8)
    x = b.conv(b.x, 8, 3, module="a")
    x = b.conv(x, 16, 3, module="b")
    b.conv(x, 4, 3, module="c")
    assert _peak(b) == (4 * 64 * 24, "b")


def test_a_shortcut_keeps_its_tensor_alive() -> None:
    """While the second conv runs, the shortcut, its input and its output are alive."""
    b = Builder(1, 4, 8, 8)
    y = b.conv(b.conv(b.x, 4, 3, module="a"), 4, 3, module="b")
    b.sum(b.x, y)
    assert _peak(b) == (4 * 64 * 12, "b")


def test_in_place_operations_and_views_take_no_memory() -> None:
    """conv, relu: 12 channels with the conv; the relu out of place needs 16, in place 8."""
    b = Builder(1, 4, 8, 8)
    x = b.relu(b.conv(b.x, 8, 3, module="a"))
    b.add(ir.Reshape(), [x], (1, 512))
    assert _peak(b)[0] == 4 * 64 * 16
    assert _peak(b, x.node) == (4 * 64 * 12, "a")


def test_a_view_keeps_what_it_looks_at() -> None:
    """A slice of one channel of x that is read last keeps all of x."""
    b = Builder(1, 4, 8, 8)
    part = b.add(ir.Slice((ir.SliceAxis(1, 0, 1),)), [b.x], (1, 1, 8, 8))
    x = b.conv(b.conv(b.x, 8, 3, module="a"), 8, 3, module="b")
    b.sum(x, part)
    assert _peak(b)[0] == 4 * 64 * 20


def test_costs_are_values() -> None:
    """Equal graphs have equal costs, and a cost does not change."""
    b = Builder(1, 4, 8, 8)
    b.conv(b.x, 8, 3)
    assert count(b.graph()) == count(b.graph())
    with pytest.raises(dataclasses.FrozenInstanceError):
        count(b.graph()).macs = 1  # type: ignore[misc]
