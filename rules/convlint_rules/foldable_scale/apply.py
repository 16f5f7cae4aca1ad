"""The weights of a layer that took a factor in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.foldable_scale.scales import Scale, Scaled

from convlint.applying.affine import scaled_outputs
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Scaled, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return weight and bias of the layer times the factor of each channel."""
    node = graph[site.anchor]
    found = {}
    for param in edit.added[0].params:
        old = values.of(node, param.role)
        if old is None or "~" not in param.storage or param.role not in ("weight", "bias"):
            continue
        factor = _factor(site.scale, values).to(old)
        rows = factor.expand(_channels(node)) if factor.numel() == 1 else factor
        found[param.storage] = (
            scaled_outputs(node, old, rows) if param.role == "weight" else old * rows
        )
    return found


def _factor(scale: Scale, values: Values) -> torch.Tensor:
    if scale.tensor is None:
        return torch.tensor([scale.number], dtype=torch.float64)
    factor = values.constant(scale.tensor).detach().flatten()
    return 1 / factor if scale.inverse else factor


def _channels(node: ir.Node) -> int:
    op = node.op
    if isinstance(op, ir.Conv):
        return op.out_channels
    return op.out_features if isinstance(op, ir.Linear) else node.output.shape[1]
