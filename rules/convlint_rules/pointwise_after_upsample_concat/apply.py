"""The weights of convolutions of a part of a concatenation: some columns of the old weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from convlint.analysis import branches
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


class HasParts(Protocol):
    """A place with a concatenation and the groups of its parts that are convolved alone."""

    @property
    def join(self) -> branches.Joined:
        """The concatenation and the convolutions that read it."""
        ...

    @property
    def groups(self) -> tuple[branches.Group, ...]:
        """The groups of parts."""
        ...


def weights(
    graph: ModelGraph, site: HasParts, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return columns of the old weights, summed over the taps where one tap is left."""
    added = {node.id: node for node in edit.added}
    found = {}
    for conv in site.join.convs:
        for ranges in branches.ranges_of(site.join, site.groups):
            node = added[branches.part_id(conv, ranges)]
            for param in node.params:
                old = values.of(graph[conv], param.role)
                if old is not None and param.role == "weight":
                    old = torch.cat([old[:, start:stop] for start, stop in ranges], 1)
                    old = _fitted(old, node.op)
                if old is not None:
                    found[param.storage] = old
    return found


def _fitted(weight: torch.Tensor, op: ir.Op) -> torch.Tensor:
    """Return the weight with the taps of ``op``: as they are, or their sum."""
    assert isinstance(op, ir.Conv)
    axes = tuple(range(2, weight.dim()))
    return weight if tuple(weight.shape[2:]) == op.kernel else weight.sum(axes, keepdim=True)
