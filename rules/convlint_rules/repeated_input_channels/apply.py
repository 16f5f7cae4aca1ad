"""The weights of a layer whose input channels were put in another order, or read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from convlint.analysis.origins import Origin
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


class HasOrigin(Protocol):
    """A place whose anchor is the layer and whose origin says what its channels are."""

    @property
    def anchor(self) -> str:
        """The id of the layer."""
        ...

    @property
    def origin(self) -> Origin:
        """Where its input channels come from."""
        ...


def weights(
    graph: ModelGraph, site: HasOrigin, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the weight summed by source channel, and the bias as it is."""
    node = graph[site.anchor]
    axis = 0 if isinstance(node.op, ir.Conv) and node.op.transposed else 1
    found = {}
    for param in (param for new in edit.added for param in new.params):
        old = values.of(node, param.role)
        if old is not None and param.role == "weight":
            places = torch.tensor(site.origin.channels)
            found[param.storage] = old.new_zeros(param.shape).index_add_(axis, places, old)
        elif old is not None:
            found[param.storage] = old
    return found
