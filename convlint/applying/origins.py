"""Which tensors of the given model each tensor of the rewritten one comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from convlint.checking.rewriting import Step
from convlint.ir.graph import ModelGraph


def origins(
    module: nn.Module,
    graph: ModelGraph,
    steps: Sequence[Step],
    made: Mapping[str, torch.Tensor],
) -> dict[str, tuple[str, ...]]:
    """Return, for each key of the new state_dict, the old keys that its tensor is made of.

    ``graph`` is the recorded one, ``made`` the tensors of new layers by storage. One old key is a
    tensor carried over as it was, if the key's own rule says nothing else.
    """
    names: dict[str, tuple[str, ...]] = {p.storage: (p.name,) for p in graph.params()}
    for step in steps:
        for each in step.made:
            taken = [p for key in sorted(each.edit.removed) for p in step.before[key].params]
            old = dict.fromkeys(name for p in taken for name in names.get(p.storage, ()))
            for node in each.edit.added:
                for param in node.params:
                    names.setdefault(param.storage, tuple(old))
    storages = {id(tensor): storage for storage, tensor in made.items()}
    found: dict[str, tuple[str, ...]] = {}
    for key, tensor in module.state_dict(keep_vars=True).items():
        storage = storages.get(id(tensor))
        found[key] = (key,) if storage is None else names.get(storage, ())
    return found
