"""What rules' ``weights`` share: batch norms as factor and shift, laid over other weights."""

from __future__ import annotations

import torch

from convlint.applying.values import Values
from convlint.errors import ApplyError
from convlint.ir import nodes as ir


def affine_of(norm: ir.Node, values: Values) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factor and the shift of each channel that a batch norm is in eval mode.

    Raises ApplyError where it has no running statistics.
    """
    mean, var = values.of(norm, "running_mean"), values.of(norm, "running_var")
    if mean is None or var is None:
        raise ApplyError(f"{norm.module or norm.id} has no statistics")
    assert isinstance(norm.op, ir.Norm)
    weight, bias = values.of(norm, "weight"), values.of(norm, "bias")
    scale = (var + norm.op.eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return scale, shift if bias is None else shift + bias


def scaled_outputs(node: ir.Node, weight: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Return the weight of a layer with a factor for each of its output channels."""
    op = node.op
    if isinstance(op, ir.Conv) and op.transposed:
        grouped = weight.unflatten(0, (op.groups, -1))
        taps = (1,) * (weight.ndim - 2)
        return (grouped * factors.view(op.groups, 1, -1, *taps)).flatten(0, 1)
    return weight * factors.view(-1, *(1,) * (weight.ndim - 1))


def over_inputs(node: ir.Node, inputs: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return a value for each input channel, laid over the weight (of ``shape``) of a layer."""
    if isinstance(node.op, ir.Linear):
        return inputs[None]
    assert isinstance(node.op, ir.Conv)
    groups, taps = node.op.groups, (1,) * (len(shape) - 2)
    each = inputs.view(groups, 1, -1).expand(-1, shape[0] // groups, -1)
    return each.reshape(shape[0], shape[1], *taps)
