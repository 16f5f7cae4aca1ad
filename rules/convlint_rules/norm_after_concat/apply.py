"""The weights of layers that took in the batch norm behind their concatenation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.norm_after_concat.rule import Joined

from convlint.applying.affine import affine_of, scaled_outputs
from convlint.edit import GraphEdit
from convlint.errors import ApplyError
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Joined, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return weight and bias of each layer under the factors and shifts of its channels."""
    scale, shift = affine_of(graph[site.anchor], values)
    found = {}
    for part, new in zip(site.parts, edit.added, strict=True):
        node = graph[part.node]
        weight, bias = values.of(node, "weight"), values.of(node, "bias")
        if weight is None:
            raise ApplyError(f"{node.module or node.id} has no weight")
        rows, moves = scale[part.start : part.stop], shift[part.start : part.stop]
        made = {"weight": scaled_outputs(node, weight, rows), "bias": moves}
        if bias is not None:
            made["bias"] = bias * rows + moves
        found.update({p.storage: made[p.role] for p in new.params if p.role in made})
    return found
