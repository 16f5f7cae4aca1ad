"""A write into shared memory reaches every later reader, and only those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from convlint.ir import nodes as ir
from convlint.ir.codec import open_document
from convlint.ir.graph import ModelGraph
from convlint.tracing.inline import read_instance


class Net(nn.Module):
    def __init__(self, forward: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.c = nn.Conv2d(4, 4, 1)
        self._forward = forward

    def forward(self, x: torch.Tensor) -> Any:
        return self._forward(self, x)


def graph_of(forward: Callable[[Any, torch.Tensor], Any]) -> ModelGraph:
    reply = read_instance(Net(forward), (torch.rand(1, 8, 6, 6),), {}, target="writes")
    assert reply.status == "complete", reply.failure
    assert reply.graph is not None
    return open_document(reply.graph)


def ancestors(graph: ModelGraph, node: ir.Node) -> set[str]:
    found: set[str] = set()
    waiting = [ref.node for ref in node.inputs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [ref.node for ref in graph[name].inputs]
    return found


def output(graph: ModelGraph) -> ir.Node:
    return next(node for node in graph if isinstance(node.op, ir.Output))


def slice_written(m: Any, x: torch.Tensor) -> Any:
    x = m.a(x)
    y = x[:, :4]
    y.mul_(m.c(y))
    return m.b(x)


def chunk_written(m: Any, x: torch.Tensor) -> Any:
    x = m.a(x)
    first, _ = x.chunk(2, 1)
    first += m.c(first)
    return m.b(x)


def set_by_slice(m: Any, x: torch.Tensor) -> Any:
    x = m.a(x).clone()
    x[:, 2:6] = m.c(x[:, 2:6])
    return m.b(x)


def set_by_ellipsis(m: Any, x: torch.Tensor) -> Any:
    x = m.a(x)
    x[..., :3] = m.c(x[:, :4])[:, :1, :, :3].expand(1, 8, 6, 3)
    return m.b(x)


def base_written(m: Any, x: torch.Tensor) -> Any:
    x = m.a(x)
    y = x[:, 4:]
    x.mul_(torch.cat([m.c(x[:, :4])] * 2, 1))
    return m.b(torch.cat([y, y], 1))


def row_written(m: Any, x: torch.Tensor) -> Any:
    x = m.a(x)
    x[0].add_(m.c(x[:, :4]).mean())
    return m.b(x)


def turned(m: Any, x: torch.Tensor) -> Any:
    x = m.a(x)
    x.transpose(2, 3).add_(m.c(x[:, :4]).mean())
    return m.b(x)


def layer_in_place(m: Any, x: torch.Tensor) -> Any:
    x = m.a(x)
    part = x[:, :4]
    part += m.c(part)
    torch.relu_(part)
    return m.b(x)


WRITES = (
    slice_written, chunk_written, set_by_slice, set_by_ellipsis, base_written, row_written, turned,
    layer_in_place,
)  # fmt: skip


@pytest.mark.parametrize("forward", WRITES, ids=lambda f: f.__name__)
def test_later_readers_depend_on_the_write(forward: Any) -> None:
    """The second conv reads what the small one wrote."""
    graph = graph_of(forward)
    last = next(node for node in graph if node.module == "b")
    small = next(node for node in graph if node.module == "c")
    assert small.id in ancestors(graph, last)
    assert graph.spec(last.inputs[0]).shape == (1, 8, 6, 6)
    assert not [n for n in graph if isinstance(n.op, ir.Opaque) and n.op.may_hold_macs]


@pytest.mark.parametrize("forward", [slice_written, chunk_written, set_by_slice, layer_in_place])
def test_a_written_slice_is_a_concat(forward: Any) -> None:
    """What stays before and after the region, joined with what was written."""
    graph = graph_of(forward)
    last = next(node for node in graph if node.module == "b")
    joined = graph[last.inputs[0].node]
    assert isinstance(joined.op, ir.Concat) and joined.op.axis == 1
    assert sum(graph.spec(ref).shape[1] for ref in joined.inputs) == 8


def test_what_was_read_before_stays_as_it_was() -> None:
    """A conv that ran before the write does not depend on it."""

    def forward(m: Any, x: torch.Tensor) -> Any:
        x = m.a(x)
        before = m.b(x)
        x[:, :4] = m.c(x[:, :4])
        return before, x

    graph = graph_of(forward)
    first = next(node for node in graph if node.module == "b")
    small = next(node for node in graph if node.module == "c")
    assert small.id not in ancestors(graph, first)
    assert small.id in ancestors(graph, output(graph))


def test_separate_memory_is_left_alone() -> None:
    """A clone does not see the write."""

    def forward(m: Any, x: torch.Tensor) -> Any:
        x = m.a(x)
        y = x.clone()
        y[:, :4].add_(m.c(y[:, :4]))
        return m.b(x)

    graph = graph_of(forward)
    last = next(node for node in graph if node.module == "b")
    small = next(node for node in graph if node.module == "c")
    assert small.id not in ancestors(graph, last)
