"""The kernel of the strided convolution: that of each slice on its lattice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.space_to_depth_slices.rule import Focus

from convlint.edit import GraphEdit
from convlint.errors import ApplyError
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Focus, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the reordered weight, and the bias as it is."""
    node = graph[site.anchor]
    found = {}
    for param in edit.added[0].params:
        old = values.of(node, param.role)
        if old is None:
            raise ApplyError(f"{node.module or node.id} has no {param.role}")
        found[param.storage] = old if param.role == "bias" else _spread(old, site, param.shape)
    return found


def _spread(kernel: torch.Tensor, site: Focus, shape: tuple[int, ...]) -> torch.Tensor:
    """Return the kernel of this shape; tap u of the slice at offset a is tap r * u + a."""
    made = kernel.new_zeros(shape)
    for part, offsets in zip(kernel.chunk(len(site.offsets), 1), site.offsets, strict=True):
        steps = zip(offsets, site.factors, strict=True)
        made[(slice(None), slice(None), *(slice(a, None, r) for a, r in steps))] = part
    return made
