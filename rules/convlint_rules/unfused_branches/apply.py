"""The kernel and bias of the one convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.unfused_branches.branches import Branch, places_of
from convlint_rules.unfused_branches.rule import Sum

from convlint.applying.affine import affine_of
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Sum, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the sum of the branches' kernels, each on the common grid, and of their shifts."""
    new = edit.added[0]
    assert isinstance(new.op, ir.Conv)
    like = values.of(graph[site.anchor], "weight")
    assert like is not None
    kernel = like.new_zeros(
        new.op.out_channels, new.op.in_channels // new.op.groups, *new.op.kernel
    )
    bias = like.new_full((new.op.out_channels,), site.scalar)
    for branch in site.branches:
        part, shift = _branch(graph, branch, new.op, values, like)
        kernel += part
        bias += shift
    found = {param.role: param.storage for param in new.params}
    made = {found["weight"]: kernel}
    if "bias" in found:
        made[found["bias"]] = bias
    return made


def _branch(
    graph: ModelGraph, branch: Branch, op: ir.Conv, values: Values, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return kernel and bias of one branch on the grid of ``op``."""
    bias = like.new_zeros(op.out_channels)
    if branch.conv is None:
        kernel = _identity(op, like)
    else:
        node = graph[branch.conv]
        assert isinstance(node.op, ir.Conv)
        weight = values.of(node, "weight")
        assert weight is not None
        kernel = _on_grid(_in_groups(weight, node.op.groups, op.groups), node.op, op)
        own = values.of(node, "bias") if node.op.bias else None
        bias = bias if own is None else own
    for key in branch.norms:
        scale, shift = affine_of(graph[key], values)
        kernel = kernel * scale.reshape(-1, *(1,) * (kernel.dim() - 1))
        bias = bias * scale + shift
    return kernel, bias


def _identity(op: ir.Conv, like: torch.Tensor) -> torch.Tensor:
    """Return the kernel that gives its input back."""
    width = op.in_channels // op.groups
    kernel = like.new_zeros(op.out_channels, width, *op.kernel)
    centre = tuple(
        before // step for (before, _), step in zip(op.padding, op.dilation, strict=True)
    )
    channels = torch.arange(op.out_channels)
    kernel[(channels, channels % width, *centre)] = 1
    return kernel


def _in_groups(weight: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """Return a kernel of ``before`` groups as one of ``after``, a divisor: zeros between groups."""
    if before == after:
        return weight
    inner = before // after
    out, width = weight.shape[:2]
    wide = weight.new_zeros(out, width * inner, *weight.shape[2:])
    rows = out // before
    for group in range(before):
        place = (group % inner) * width
        span = slice(group * rows, (group + 1) * rows)
        wide[span, place : place + width] = weight[span]
    return wide


def _on_grid(weight: torch.Tensor, old: ir.Conv, new: ir.Conv) -> torch.Tensor:
    """Return a kernel with its taps on the grid of ``new``."""
    made = weight.new_zeros(*weight.shape[:2], *new.kernel)
    index: list[torch.Tensor] = []
    for axis in range(len(new.kernel)):
        start, step = -new.padding[axis][0], new.dilation[axis]
        places = [(place - start) // step for place in places_of(old, axis)]
        shape = [1] * len(new.kernel)
        shape[axis] = len(places)
        index.append(torch.tensor(places).reshape(shape))
    made[(slice(None), slice(None), *index)] = weight
    return made
