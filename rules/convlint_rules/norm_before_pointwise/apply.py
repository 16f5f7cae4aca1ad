"""The weights of layers that took in the batch norm before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.norm_before_pointwise.readers import Folded

from convlint.edit import GraphEdit
from convlint.errors import ApplyError
from convlint.ir import nodes as ir
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
        factors = columns(node, scale[places].to(weight), weight.shape)
        shifts = (weight * columns(node, shift[places].to(weight), weight.shape)).flatten(1).sum(1)
        made = {"weight": weight * factors, "bias": shifts if bias is None else bias + shifts}
        found.update({param.storage: made[param.role] for param in new.params})
    return found


def affine_of(norm: ir.Node, values: Values) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factor and the shift of each channel that a batch norm is in eval mode."""
    mean, var = values.of(norm, "running_mean"), values.of(norm, "running_var")
    if mean is None or var is None:
        raise ApplyError(f"{norm.module or norm.id} has no statistics")
    assert isinstance(norm.op, ir.Norm)
    weight, bias = values.of(norm, "weight"), values.of(norm, "bias")
    scale = (var + norm.op.eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return scale, shift if bias is None else shift + bias


def columns(node: ir.Node, inputs: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return a value for each input channel, laid over the weight of a layer."""
    if isinstance(node.op, ir.Linear):
        return inputs[None]
    assert isinstance(node.op, ir.Conv)
    groups, taps = node.op.groups, (1,) * (len(shape) - 2)
    each = inputs.view(groups, 1, -1).expand(-1, shape[0] // groups, -1)
    return each.reshape(shape[0], shape[1], *taps)
