"""Gives content to what a constructor leaves empty, so that a wrong rewrite shows in the outputs.

A model fresh from its constructor hides faults: norms whose scale is 1 and whose statistics are
those of nothing, layer scales of 1e-6, and deep features that have shrunk to nothing before the
last bias.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_MEAN, _VAR = "running_mean", "running_var"


def is_fresh(model: nn.Module) -> bool:
    """Tell whether a trainable tensor, or a norm's statistics, are one value all over."""
    return any(True for _ in _constants(model))


def fill(model: nn.Module, args: Any, kwargs: Any) -> None:
    """Fill constant parameters with numbers of both signs, and norms with statistics of a run.

    Writes into the model's tensors: give it a model whose tensors are copies. The statistics are
    moved a little, so that no norm gives exactly mean 0.
    """
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, tensor in list(_constants(model)):
            if name not in (_MEAN, _VAR):
                tensor.copy_(_signed(tensor, generator))
        with _calibrated(model, generator):
            model(*args, **kwargs)


def _constants(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for path, parameter in model.named_parameters():
        if parameter.requires_grad and _is_constant(parameter):
            yield path.rpartition(".")[2], parameter
    for path, buffer in model.named_buffers():
        name = path.rpartition(".")[2]
        if name in (_MEAN, _VAR) and _is_constant(buffer):
            yield name, buffer


def _is_constant(tensor: torch.Tensor) -> bool:
    flat = tensor.detach().flatten()
    return flat.numel() > 1 and flat.is_floating_point() and bool((flat == flat[0]).all())


def _signed(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return numbers of 0.5 to 1.5 and either sign, smaller where many are summed."""
    size = 0.5 + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
    sign = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) - 0.5
    summed = tensor.numel() / max(1, tensor.shape[0]) if tensor.dim() > 1 else 1.0
    return size * torch.sign(sign) / summed**0.5


@contextlib.contextmanager
def _calibrated(model: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Let every norm take its statistics from what it gets."""

    def take(module: nn.Module, given: tuple[Any, ...]) -> None:
        if given and isinstance(given[0], torch.Tensor) and given[0].dim() > 1:
            _take_statistics(module, given[0], generator)

    handles = [
        module.register_forward_pre_hook(take)
        for module in model.modules()
        if isinstance(getattr(module, _MEAN, None), torch.Tensor)
        and isinstance(getattr(module, _VAR, None), torch.Tensor)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _take_statistics(module: Any, x: torch.Tensor, generator: torch.Generator) -> None:
    mean, var = module.running_mean, module.running_var
    if x.shape[1] != mean.numel():
        return
    axes = [axis for axis in range(x.dim()) if axis != 1]
    found = x.var(axes, unbiased=False), x.mean(axes)
    overall = float(x.square().mean()) or 1.0
    flat = found[0] < 1e-6 * overall
    spread = torch.where(flat, torch.full_like(found[0], overall), found[0])
    noise = torch.rand(mean.shape, generator=generator, dtype=mean.dtype)
    var.copy_(spread * (0.5 + noise))
    centre = torch.where(flat, torch.zeros_like(found[1]), found[1])
    mean.copy_(centre + (noise - 0.5) * spread.sqrt())
