"""The kernel of the live taps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.dead_taps.rule import Dead

from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Dead, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the kernel cut to its live taps, and the bias as it is."""
    node = graph[site.anchor]
    found = {}
    for param in edit.added[0].params:
        old = values.of(node, param.role)
        assert old is not None
        if param.role == "weight":
            for axis, (first, last) in enumerate(site.live, 2):
                old = old.narrow(axis, first, last - first + 1)
        found[param.storage] = old.contiguous()
    return found
