"""Builds a model without paying for its weights: on the meta device where that works."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from convlint.tracing import tensors
from convlint.tracing.tensors import SMALL, map_tensors

_EMPTY = frozenset(
    [torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.normal]
)
_ALWAYS_META = frozenset([torch.empty, torch.rand, torch.randn, torch.normal])
_FILLS = frozenset(
    getattr(torch.Tensor, f"{name}_")
    for name in "add bernoulli clamp div erfinv fill mul normal sub uniform zero".split()
)
"""What initialisers do to a weight; on meta torch takes a millisecond for each, to no effect."""


class MetaWeights(TorchFunctionMode):
    """While active, new tensors without content go to meta.

    Tables (``arange``, ``linspace``, ``tensor``, ``randperm``) and small ``zeros`` and ``ones``
    stay on the CPU, so that constructors can read them (``.tolist()`` of drop rates) and index
    buffers keep their values. Moves to another device (``.cuda()``) do nothing.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Send a factory call to meta; leave every other call as it is."""
        kwargs = dict(kwargs or {})
        if tensors.only_moves(func, args, kwargs):
            return args[0]
        if func in _FILLS and _is_without_content(*args, *kwargs.values()):
            return args[0]
        if func in _EMPTY and (func in _ALWAYS_META or _size(args, kwargs) > SMALL):
            kwargs["device"] = torch.device("meta")
        elif "device" in kwargs and func.__name__ not in ("to",):
            kwargs["device"] = torch.device("cpu")
        return func(*args, **kwargs)


def _is_without_content(tensor: torch.Tensor, *others: Any) -> bool:
    """Tell whether a call fills a meta tensor with what numbers say, and torch allows that."""
    frozen = tensor.requires_grad and torch.is_grad_enabled()
    numbers = all(isinstance(other, (int, float, torch.Generator, type(None))) for other in others)
    return tensor.device.type == "meta" and numbers and not frozen


def _size(args: Any, kwargs: dict[str, Any]) -> int:
    given = args[0] if args and isinstance(args[0], (list, tuple)) else args
    size = kwargs.get("size", given)
    try:
        return math.prod(int(n) for n in size)
    except (TypeError, ValueError):
        return 0


def build(make: Callable[[], Any]) -> Any:
    """Return what ``make`` returns, with weights on meta if the constructor allows it.

    A constructor that needs real values (``.item()`` of a weight) is run again on the CPU.
    Raises what ``make`` raises there.
    """
    try:
        with MetaWeights():
            made = make()
    except Exception:
        return make()
    return made


def settled(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> nn.Module:
    """Return ``model``, or, where lazy layers get their shapes from the first run, a copy after it.

    The copy is on meta, whatever the device of the inputs.
    """
    kind = nn.parameter.UninitializedTensorMixin
    tables = [table for m in model.modules() for table in (m._parameters, m._buffers)]
    lazy = [t for table in tables for t in table.values() if isinstance(t, kind)]
    if not lazy:
        return model
    model = copy.deepcopy(model, {id(t): _on_meta(t) for table in tables for t in table.values()})
    args, kwargs = map_tensors((args, kwargs), lambda tensor: tensor.to("meta"))
    with torch.no_grad(), torch.device("meta"):
        model(*args, **kwargs)
    return model


def _on_meta(tensor: torch.Tensor | None) -> torch.Tensor | None:
    if tensor is None or not isinstance(tensor, nn.parameter.UninitializedTensorMixin):
        return tensor if tensor is None else _moved(tensor)
    if isinstance(tensor, nn.Parameter):
        return nn.UninitializedParameter(device="meta", dtype=tensor.dtype)
    return nn.UninitializedBuffer(device="meta", dtype=tensor.dtype)


def _moved(tensor: torch.Tensor) -> torch.Tensor:
    moved = tensor.detach().to("meta")
    return nn.Parameter(moved, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else moved
