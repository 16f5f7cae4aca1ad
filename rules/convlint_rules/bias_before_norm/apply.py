"""The mean of a norm whose layer has lost its bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.bias_before_norm.rule import Biased

from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Biased, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the running mean less by the bias; nothing where the norm takes its own mean."""
    bias = values.of(graph[site.anchor], "bias")
    mean = values.of(graph[site.norm], "running_mean")
    if bias is None or mean is None or len(edit.added) < 2:
        return {}
    (param,) = (p for p in edit.added[1].params if p.role == "running_mean")
    return {param.storage: mean - bias}
