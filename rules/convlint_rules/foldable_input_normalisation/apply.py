"""The weights of a first layer that took in how the input is normalised."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from convlint_rules.foldable_input_normalisation.chains import Chain, Step

from convlint.applying.affine import over_inputs
from convlint.edit import GraphEdit
from convlint.errors import ApplyError
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Chain, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the weight times the factors, the bias with the shifts' products, what stays to add."""
    node = graph[site.anchor]
    weight, bias = values.of(node, "weight"), values.of(node, "bias")
    if weight is None:
        raise ApplyError(f"{node.module or node.id} has no weight")
    count = node.op.in_channels if isinstance(node.op, ir.Conv) else weight.shape[1]
    kept = [step for step in site.steps if step.node not in edit.removed]
    if kept:
        folded = [step for step in site.steps if step is not kept[0]]
    else:
        folded = list(site.steps)
    scale, shift = (t.to(weight).expand(count) for t in affine(folded, values))
    made = {"weight": weight * over_inputs(node, scale, weight.shape)}
    shifts = (weight * over_inputs(node, shift, weight.shape)).flatten(1).sum(1)
    pads = bool(edit.added[1:]) or bool(kept)
    made["bias"] = bias if pads else shifts if bias is None else bias + shifts
    found = {param.storage: made[param.role] for param in edit.added[0].params}
    for new in edit.added[1:]:
        for param in new.params:
            found[param.storage] = (shift / scale).expand(max(param.shape)).reshape(param.shape)
    return found


def affine(steps: Iterable[Step], values: Values) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factor and the shift of each channel that steps in a row are."""
    scale, shift = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for step in steps:
        value = _value(step, values).double()
        if step.is_sum:
            shift = shift - value if step.inverse else shift + value
        else:
            factor = 1 / value if step.inverse else value
            scale, shift = scale * factor, shift * factor
    return scale, shift


def _value(step: Step, values: Values) -> torch.Tensor:
    if step.tensor is None:
        return torch.tensor([step.number], dtype=torch.float64)
    return values.constant(step.tensor).detach().flatten()
