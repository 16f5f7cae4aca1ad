"""Tensors on the meta device, and what is still known of their values.

A model is run on meta tensors, which have a shape and no content. What does not
depend on the input (index tables, anchors, drop rates) is computed beside it on the
CPU as long as it is small, so that ``.item()``, ``.tolist()``, ``if mask.any()`` and
channel permutations by index work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from convlint.ir.nodes import TensorSpec

SMALL = 1 << 16
_META = torch.device("meta")


def spec_of(tensor: torch.Tensor) -> TensorSpec:
    """Return shape and dtype of ``tensor``."""
    return TensorSpec(tuple(int(n) for n in tensor.shape), str(tensor.dtype).removeprefix("torch."))


def storage_key(tensor: torch.Tensor) -> str:
    """Return a key that tensors sharing memory have in common, meta tensors too."""
    try:
        return str(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return f"id{id(tensor)}"


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested lists, tuples, dicts and plain objects' fields."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for part in dataclasses.fields(value):
            yield from tensors_in(getattr(value, part.name, None))
    elif isinstance(value, slice):
        yield from tensors_in((value.start, value.stop, value.step))


def every_module(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules of ``model``, those in plain lists and dicts too, once each."""
    seen: set[int] = set()
    waiting: list[Any] = [model]
    while waiting:
        value = waiting.pop()
        if isinstance(value, nn.Module):
            if id(value) in seen:
                continue
            seen.add(id(value))
            yield value
            plain = [v for v in vars(value).values() if isinstance(v, (list, tuple, dict)) and v]
            waiting += [*reversed(plain), *reversed(list(value.children()))]
        elif isinstance(value, (list, tuple)):
            waiting += [v for v in reversed(value) if isinstance(v, (nn.Module, list, dict))]
        elif isinstance(value, dict):
            waiting += [v for v in reversed(value.values()) if isinstance(v, (nn.Module, list))]


def map_tensors(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Return ``value`` with every tensor in nested containers replaced."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, torch.Size):
        return value
    if isinstance(value, tuple):
        items = [map_tensors(item, change) for item in value]
        return _named(value, items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [map_tensors(item, change) for item in value]
    if isinstance(value, dict):
        return {key: map_tensors(item, change) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(map_tensors(x, change) for x in (value.start, value.stop, value.step)))
    return value


def _named(value: Any, items: list[Any]) -> tuple[Any, ...]:
    """Return a NamedTuple of the items, or a tuple where its constructor wants real tensors."""
    try:
        made: tuple[Any, ...] = type(value)(*items)
    except Exception:
        return tuple(items)
    return made


class KnownValues:
    """The small tensors whose content is known although they live on meta."""

    def __init__(self) -> None:
        self._real: dict[int, torch.Tensor] = {}
        self._keep: list[torch.Tensor] = []

    def note(self, tensor: torch.Tensor, real: torch.Tensor) -> None:
        """Remember that ``tensor`` has the content of ``real``, if that is small."""
        if real.numel() <= SMALL:
            self._real[id(tensor)] = real
            self._keep.append(tensor)

    def get(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the content of ``tensor``, or None where it is not known."""
        if tensor.device.type != "meta":
            return tensor if tensor.numel() <= SMALL else None
        return self._real.get(id(tensor))

    def forget(self, tensor: torch.Tensor) -> None:
        """Forget the content of ``tensor`` (it was overwritten by something unknown)."""
        self._real.pop(id(tensor), None)

    def compute(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Return ``func`` of the known contents, or None where one is not known."""
        given = list(tensors_in((args, kwargs)))
        if any(self.get(tensor) is None for tensor in given):
            return None
        kwargs = {k: torch.device("cpu") if k == "device" else v for k, v in kwargs.items()}
        args, kwargs = map_tensors((args, kwargs), self.get)
        args = tuple(_off_meta(value) for value in args)
        try:
            return func(*args, **kwargs)
        except Exception:
            return None


def _off_meta(value: Any) -> Any:
    on_meta = isinstance(value, torch.device) and value.type == "meta"
    return torch.device("cpu") if on_meta else value


def integers(real: torch.Tensor | None) -> tuple[int, ...] | None:
    """Return the elements of a small integer tensor, row-major, else None."""
    if real is None or real.is_floating_point() or real.is_complex() or real.numel() > SMALL:
        return None
    return tuple(int(value) for value in real.reshape(-1).tolist())


def only_moves(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Return whether the call only moves a tensor to a device: nothing, where all is on meta."""
    if not args or not isinstance(args[0], torch.Tensor):
        return False
    if func in (torch.Tensor.cuda, torch.Tensor.cpu):
        return True
    if func is torch.Tensor.to:
        rest = [*args[1:], *(v for k, v in kwargs.items() if k not in ("non_blocking", "copy"))]
        places = [v for v in rest if v is not None and not isinstance(v, bool)]
        return bool(places) and all(isinstance(v, (str, int, torch.device)) for v in places)
    return False


def on_meta_device(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the arguments of a call with another device (``"cuda"``) turned into meta."""
    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": _META}
    if func is torch.Tensor.to:
        named = (str, torch.device)
        args = tuple(_META if isinstance(value, named) else value for value in args)
    return args, kwargs
