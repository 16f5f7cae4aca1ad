"""The weights of the channels that are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.discarded_channels.rule import SUFFIX, Discarded, groups_kept

from convlint.edit import GraphEdit
from convlint.errors import ApplyError
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Discarded, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the kept part of each weight, bias and statistic of the layer and of norms behind."""
    found = {}
    known = {param.storage for param in graph.params()}
    for new in edit.added:
        for param in new.params:
            if param.storage in known:
                continue
            old = graph[new.id.removesuffix(f"~{SUFFIX}")]
            value = values.of(old, param.role)
            if value is None:
                raise ApplyError(f"{old.module or old.id} has no {param.role}")
            found[param.storage] = _kept(old, param.role, value, site.kept)
    return found


def _kept(node: Node, role: str, value: torch.Tensor, kept: tuple[int, ...]) -> torch.Tensor:
    op = node.op
    if role != "weight" or not isinstance(op, ir.Conv) or not op.transposed:
        return value[list(kept)]
    return _transposed(op, value, kept)


def _transposed(op: ir.Conv, value: torch.Tensor, kept: tuple[int, ...]) -> torch.Tensor:
    """Cut the kernel (in, out / groups, ...) of each group that is left."""
    size, width = op.out_channels // op.groups, op.in_channels // op.groups
    parts = []
    for group in groups_kept(op, kept) or ():
        places = [channel % size for channel in kept if channel // size == group]
        parts.append(value[group * width : (group + 1) * width, places])
    return torch.cat(parts)
