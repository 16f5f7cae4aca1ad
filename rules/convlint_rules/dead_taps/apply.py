"""The kernel without its dead taps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.dead_taps.sites import Taps

from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Taps, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the taps that read data, and the bias as it is."""
    node = graph[site.anchor]
    found = {}
    for param in (param for new in edit.added for param in new.params):
        old = values.of(node, param.role)
        if old is not None and param.role == "weight":
            for axis, taps in enumerate(site.kept, 2):
                old = old.index_select(axis, torch.tensor(tuple(taps), device=old.device))
        if old is not None:
            found[param.storage] = old.contiguous()
    return found
