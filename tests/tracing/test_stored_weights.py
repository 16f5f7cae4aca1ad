"""Kernels computed from parameters alone are stored kernels; others are computed."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from convlint import cost
from convlint.ir import nodes as ir
from convlint.ir.codec import open_document
from convlint.ir.graph import ModelGraph
from convlint.tracing.inline import read_instance

X = (1, 16, 8, 8)


class Standardised(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, weight / weight.std(), self.bias, self.stride, self.padding)


class FromInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 16, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight * x.mean(), padding=1)


def graph_of(model: nn.Module) -> ModelGraph:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reply = read_instance(model.eval(), (torch.randn(X),), {}, target="net")
    assert reply.graph is not None, reply.failure
    return open_document(reply.graph)


@pytest.mark.parametrize(
    "make",
    [
        lambda conv: parametrizations.weight_norm(conv),
        lambda conv: parametrizations.spectral_norm(conv),
        lambda conv: nn.utils.weight_norm(conv),
        lambda conv: nn.utils.spectral_norm(conv),
        lambda conv: Standardised(16, 16, 3, padding=1),
    ],
    ids=["weight_norm", "spectral_norm", "old weight_norm", "old spectral_norm", "standardised"],
)
def test_a_kernel_of_parameters_is_stored(make: object) -> None:
    """The conv is an ordinary one, its params are the model's, and it costs what torch counts."""
    warnings.simplefilter("ignore")
    model: nn.Module = make(nn.Conv2d(16, 16, 3, padding=1))  # type: ignore[operator]
    graph = graph_of(model)
    kinds = [node.kind for node in graph if not isinstance(node.op, (ir.Input, ir.Output))]
    assert kinds == ["conv"]
    (conv,) = (node for node in graph if isinstance(node.op, ir.Conv))
    assert isinstance(conv.op, ir.Conv) and not conv.op.computed_weight
    weights = [param for param in conv.params if param.role == "weight"]
    assert [param.shape for param in weights] == [(16, 16, 3, 3)]
    counted = cost.count(graph)
    assert counted.macs == 16 * 16 * 9 * 64
    assert counted.params == sum(p.numel() for p in model.parameters())


def test_a_kernel_that_depends_on_the_input_is_computed() -> None:
    """Such a conv is marked, and what computes its kernel stays in the graph."""
    graph = graph_of(FromInput())
    (conv,) = (node for node in graph if isinstance(node.op, ir.Conv))
    assert isinstance(conv.op, ir.Conv) and conv.op.computed_weight
    assert {"reduce", "mul"} <= {node.kind for node in graph}


def test_a_kernel_that_is_also_read_elsewhere_stays_in_the_graph() -> None:
    """Folding never takes away a node that something else reads."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(16, 16, 3, 3))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            weight = self.weight * 2
            return F.conv2d(x, weight, padding=1), weight.sum()

    graph = graph_of(Twice())
    assert {"mul", "reduce", "conv"} <= {node.kind for node in graph}
