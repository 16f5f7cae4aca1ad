"""Runs a model on meta tensors and leaves it as it was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from convlint.tracing.tensors import KnownValues


@contextmanager
def on_meta(model: nn.Module, known: KnownValues) -> Iterator[dict[int, str]]:
    """Give every parameter and buffer a meta twin inside, put the originals back after.

    Yields the storage key of each twin's original by the twin's id, so that tied weights
    stay tied. Buffers that are small keep their content in ``known``. Also sets eval mode
    and restores every module's flag.
    """
    from convlint.tracing.tensors import storage_key

    twins: dict[int, torch.Tensor] = {}
    storages: dict[int, str] = {}
    undo: list[tuple[dict[str, torch.Tensor | None], str, torch.Tensor]] = []
    flags = [(module, module.training) for module in model.modules()]

    def twin(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in twins:
            made = tensor if tensor.device.type == "meta" else _make_twin(tensor)
            twins[id(tensor)] = made
            storages[id(made)] = storage_key(tensor)
            if made is not tensor and not isinstance(tensor, nn.Parameter):
                known.note(made, tensor)
        return twins[id(tensor)]

    try:
        for module, _ in flags:
            module.training = False
            for table in (module._parameters, module._buffers):
                for name, tensor in table.items():
                    if tensor is not None:
                        undo.append((table, name, tensor))  # type: ignore[arg-type]
                        table[name] = twin(tensor)  # type: ignore[index]
        yield storages
    finally:
        for table, name, tensor in undo:
            table[name] = tensor
        for module, flag in flags:
            module.training = flag


def _make_twin(tensor: torch.Tensor) -> torch.Tensor:
    made = torch.empty_strided(
        tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="meta"
    )
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, requires_grad=tensor.requires_grad)
    return made
