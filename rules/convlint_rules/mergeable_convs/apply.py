"""The weight and bias of the one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.mergeable_convs.rule import Pair

from convlint.applying.affine import affine_of
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Pair, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the product of the two weights, the norms between taken in, and the joint bias."""
    first, second = graph[site.first], graph[site.second]
    a, b = values.of(first, "weight"), values.of(second, "weight")
    assert a is not None
    assert b is not None
    shift = _bias(first, values, a.new_zeros(_outputs(first)))
    scale = torch.ones_like(shift)
    for key in site.norms:
        factor, offset = affine_of(graph[key], values)
        scale, shift = scale * factor, shift * factor + offset
    bias = _bias(second, values, b.new_zeros(_outputs(second)))
    weight = _product(first, second, a, b, scale)
    bias = bias + _through(second, b) @ shift
    found = {param.role: param.storage for param in edit.added[0].params}
    made = {found["weight"]: weight}
    if "bias" in found:
        made[found["bias"]] = bias
    return made


def _outputs(node: Node) -> int:
    op = node.op
    assert isinstance(op, (ir.Conv, ir.Linear))
    return op.out_channels if isinstance(op, ir.Conv) else op.out_features


def _bias(node: Node, values: Values, none: torch.Tensor) -> torch.Tensor:
    found = values.of(node, "bias")
    return none if found is None else found


def _matrix(node: Node, weight: torch.Tensor) -> torch.Tensor:
    """Return the weight as (out, in, taps)."""
    if isinstance(node.op, ir.Conv) and node.op.transposed:
        weight = weight.transpose(0, 1)
    return weight.reshape(*weight.shape[:2], -1)


def _through(node: Node, weight: torch.Tensor) -> torch.Tensor:
    """Return what a constant input channel adds to each output where all taps meet it."""
    return _matrix(node, weight).sum(2)


def _product(
    first: Node, second: Node, a: torch.Tensor, b: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Return the joint weight in the layout of the layer with taps (the first of two 1x1)."""
    left, right = _matrix(second, b), _matrix(first, a) * scale[:, None, None]
    joint = torch.einsum("omt,mis->oits", left, right).flatten(2)
    if isinstance(first.op, ir.Linear):
        return joint[..., 0]
    assert isinstance(second.op, ir.Conv)
    shaped = first.op if second.op.taps == 1 else second.op
    assert isinstance(shaped, ir.Conv)
    if shaped.transposed:
        joint = joint.transpose(0, 1)
    return joint.reshape(*joint.shape[:2], *shaped.kernel).contiguous()
