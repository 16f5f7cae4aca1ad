"""Runs a model on other tensors than its own, and leaves it as it was found."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from convlint.tracing.tensors import KnownValues, every_module, storage_key

_FEW = 64


@contextmanager
def on_meta(model: nn.Module, known: KnownValues) -> Iterator[dict[int, str]]:
    """Give every parameter and buffer a meta twin inside; eval mode; all put back after.

    Yields the storage key of each twin's original by the twin's id, so that tied weights
    stay tied. Small buffers and the smallest parameters (a learned scalar that ``forward``
    branches on) keep their content in ``known``.
    """

    def make(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device.type == "meta":
            return tensor
        made = _like(tensor, "meta")
        if not isinstance(tensor, nn.Parameter) or tensor.numel() <= _FEW:
            known.note(made, tensor)
        return made

    with _exchanged(model, make) as storages:
        yield storages


@contextmanager
def on_cpu(model: nn.Module) -> Iterator[dict[int, str]]:
    """Give every parameter and buffer content inside; eval mode; all put back after.

    Those on the CPU are used themselves, those on meta get small positive noise. Buffers are
    copies: the run may write to them.
    """

    def make(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device.type == "cpu":
            return tensor if isinstance(tensor, nn.Parameter) else tensor.clone()
        made = _like(tensor, "cpu")
        with torch.no_grad():
            if tensor.device.type != "meta":
                return made.copy_(tensor)
            if made.is_floating_point() or made.is_complex():
                made.normal_(0, 0.02).abs_()
            else:
                made.zero_()
        return made

    with _exchanged(model, make) as storages:
        yield storages


@contextmanager
def in_double(model: nn.Module) -> Iterator[dict[int, str]]:
    """Give every parameter and buffer a float64 copy inside; eval mode; all put back after."""

    def make(tensor: torch.Tensor) -> torch.Tensor:
        made = tensor.detach().clone()
        if made.is_floating_point():
            made = made.double()
        elif made.is_complex():
            made = made.to(torch.complex128)
        kept_kind = isinstance(tensor, nn.Parameter)
        return nn.Parameter(made, tensor.requires_grad) if kept_kind else made

    with _exchanged(model, make) as storages:
        yield storages


@contextmanager
def as_it_is(model: nn.Module) -> Iterator[dict[int, str]]:
    """Let the model run on its own parameters and on copies of its buffers, in eval mode."""

    def make(tensor: torch.Tensor) -> torch.Tensor:
        return tensor if isinstance(tensor, nn.Parameter) else tensor.clone()

    with _exchanged(model, make) as storages:
        yield storages


@contextmanager
def _exchanged(
    model: nn.Module, make: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[dict[int, str]]:
    made: dict[int, torch.Tensor] = {}
    storages: dict[int, str] = {}
    undo: list[tuple[Any, str, torch.Tensor]] = []

    def twin(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            made[id(tensor)] = make(tensor)
            storages[id(made[id(tensor)])] = storage_key(tensor)
        return made[id(tensor)]

    with kept(model):
        try:
            for module in every_module(model):
                module.training = False
                for table in (module._parameters, module._buffers):
                    for name, tensor in list(table.items()):
                        if tensor is not None:
                            undo.append((table, name, tensor))
                            table[name] = twin(tensor)
            yield storages
        finally:
            for table, name, tensor in undo:
                table[name] = tensor


def _like(tensor: torch.Tensor, device: str) -> torch.Tensor:
    made = torch.empty_strided(
        tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device=device
    )
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, requires_grad=tensor.requires_grad)
    return made


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Put back, at the end, what a run may change of ``model`` and of the random generators.

    That is every attribute of every module, with the content of plain lists, dicts and sets
    among them (caches, hooks, buffers replaced in ``forward``).
    """
    saved = [(module, dict(module.__dict__), _containers(module)) for module in every_module(model)]
    with torch.random.fork_rng(devices=[]), _other_generators():
        try:
            yield
        finally:
            for module, attributes, containers in saved:
                for container, content in containers:
                    if container or content:
                        _refill(container, content)
                module.__dict__.clear()
                module.__dict__.update(attributes)


def _containers(module: nn.Module) -> list[tuple[Any, Any]]:
    kinds = (list, dict, set)
    found = [value for value in module.__dict__.values() if isinstance(value, kinds)]
    return [(container, _copied(container)) for container in found]


def _copied(container: Any) -> Any:
    if not container:  # as most of the dicts of a module are
        return ()
    if isinstance(container, dict):
        return list(container.items())
    return list(container)


def _refill(container: Any, content: Any) -> None:
    with contextlib.suppress(TypeError, ValueError, NotImplementedError):
        container.clear()
        container.extend(content) if isinstance(container, list) else container.update(content)


@contextmanager
def _other_generators() -> Iterator[None]:
    state = random.getstate()
    numpy = sys.modules.get("numpy.random")  # not loaded, it has no state to keep
    numbers = numpy.get_state() if numpy else None
    try:
        yield
    finally:
        random.setstate(state)
        if numpy:
            numpy.set_state(numbers)
