"""The weights of layers that took in the batch norm before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.norm_before_pointwise.readers import Folded

from convlint.applying.affine import affine_of, over_inputs
from convlint.edit import GraphEdit
from convlint.errors import ApplyError
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Folded, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the weight times the norm's factors, and the bias with the products of its shifts."""
    scale, shift = affine_of(graph[site.anchor], values)
    found = {}
    for reader, new in zip(site.readers, edit.added, strict=True):
        node = graph[reader.node]
        weight, bias = values.of(node, "weight"), values.of(node, "bias")
        if weight is None:
            raise ApplyError(f"{node.module or node.id} has no weight")
        places = torch.tensor(reader.channels)
        factors = over_inputs(node, scale[places].to(weight), weight.shape)
        shifts = (
            (weight * over_inputs(node, shift[places].to(weight), weight.shape)).flatten(1).sum(1)
        )
        made = {"weight": weight * factors, "bias": shifts if bias is None else bias + shifts}
        found.update({param.storage: made[param.role] for param in new.params})
    return found
