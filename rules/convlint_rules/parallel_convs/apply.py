"""The weights of several convolutions in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.parallel_convs.rule import Parallel

from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Parallel, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the weights joined along the output channels, and the biases, 0 where there is none."""
    nodes = [graph[key] for key in site.nodes]
    kernels = [values.of(node, "weight") for node in nodes]
    biases = [
        kernel.new_zeros(len(kernel)) if (bias := values.of(node, "bias")) is None else bias
        for node, kernel in zip(nodes, kernels, strict=True)
        if kernel is not None
    ]
    joined = {"weight": torch.cat(kernels), "bias": torch.cat(biases)}
    return {param.storage: joined[param.role] for param in edit.added[0].params}
