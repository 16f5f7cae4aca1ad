"""The weights of the cropped layer where they are computed from parameters: their value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.cropped_positions.rule import Cropped

from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Cropped, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return weight and bias of a weight-normed layer; others keep their own."""
    node = graph[site.anchor]
    kept = {param.storage for param in node.params}
    found = {}
    for param in (param for param in edit.added[0].params if param.storage not in kept):
        value = values.of(node, param.role)
        if value is not None:
            found[param.storage] = value.contiguous()
    return found
