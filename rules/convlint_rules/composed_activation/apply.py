"""The weights of a norm that was written by hand, in the shape that the norm has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.composed_activation.norms import Normalised
from convlint_rules.composed_activation.patterns import Composed

from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    _graph: ModelGraph, site: Composed | Normalised, _edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the weights that are stored in another shape, reshaped."""
    if isinstance(site, Composed):
        return {}
    return {
        one.param.storage: values.param(one.stored).reshape(one.param.shape)
        for one in (site.weight, site.bias)
        if one is not None and one.param != one.stored and one.param.shape != one.stored.shape
    }
