"""Compares two models on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from convlint.tracing.outputs import choose, plain
from convlint.tracing.tensors import map_tensors, tensors_in

BOUND = 1e-9
"""The largest difference of float64 outputs, in parts of the outputs' scale."""


def outputs_of(
    model: Callable[..., Any], args: Any, kwargs: Any, outputs: Sequence[str] = ()
) -> list[torch.Tensor]:
    """Return the tensors that a model returns, in the order of a traced graph's outputs.

    ``outputs`` are those that are read, if not all.
    """
    with torch.no_grad():
        result = model(*args, **kwargs)
    kept, told = choose(result, outputs), plain(result)
    found = tensors_in(told if kept is None else kept.of(told))
    return [tensor.detach().clone() for tensor in found]


def difference(expected: list[torch.Tensor], found: list[torch.Tensor]) -> float:
    """Return the largest difference in parts of the scale of the output it is in.

    Infinite where numbers, shapes or kinds of outputs differ, or where one alone is not finite.
    """
    if [t.shape for t in expected] != [t.shape for t in found]:
        return float("inf")
    return max((_one(a, b) for a, b in zip(expected, found, strict=True)), default=0.0)


def _one(a: torch.Tensor, b: torch.Tensor) -> float:
    if a.numel() == 0 or torch.equal(a, b):
        return 0.0
    if not (a.is_floating_point() or a.is_complex()):
        return float("inf")
    a, b = a.to(torch.complex128), b.to(torch.complex128)
    same = (a == b) | (torch.isnan(a.real) & torch.isnan(b.real))
    gap = torch.where(same, torch.zeros_like(a), a - b).abs()
    if not bool(torch.isfinite(gap).all()):
        return float("inf")
    finite = a.abs()[torch.isfinite(a.abs())]
    scale = float(finite.max()) if finite.numel() else 0.0
    return float(gap.max()) / max(scale, 1e-30)


def telling(outputs: list[list[torch.Tensor]]) -> bool:
    """Tell whether any output of any trial has a finite number."""
    return any(bool(torch.isfinite(tensor).any()) for trial in outputs for tensor in trial)


class Doubled(TorchFunctionMode):  # type: ignore[misc]  # torch gives it no type
    """While active, calls that ask for a smaller floating dtype get float64.

    A model that says ``.float()`` or ``dtype=torch.float32`` on the way can then be compared as
    closely as any other. The default dtype is float64 inside.
    """

    def __enter__(self) -> Doubled:
        """Take the default dtype over."""
        self._default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Put the default dtype back."""
        super().__exit__(*error)
        torch.set_default_dtype(self._default)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the call with float64 in the place of smaller floating dtypes."""
        if func in _CASTS:
            return torch.Tensor.double(args[0])
        args = tuple(_widened(value) for value in args)
        kwargs = {key: _widened(value) for key, value in (kwargs or {}).items()}
        return func(*args, **kwargs)


_CASTS = frozenset([torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16])
_SMALLER = frozenset([torch.float32, torch.float16, torch.bfloat16])


def _widened(value: Any) -> Any:
    if isinstance(value, torch.dtype) and value in _SMALLER:
        return torch.float64
    return value


def in_double(value: Any) -> Any:
    """Return nested containers with floating tensors in float64, complex ones in complex128."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_complex():
            return tensor.detach().to(torch.complex128)
        return tensor.detach().double() if tensor.is_floating_point() else tensor.detach()

    return map_tensors(value, change)


def alike(value: Any, seed: int) -> Any:
    """Return containers of the same shapes with other random content in floating tensors."""
    generator = torch.Generator().manual_seed(seed)

    def change(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point():
            return tensor
        made = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        return made.to(dtype=tensor.dtype, device=tensor.device)

    return map_tensors(value, change)


def trials(args: Any, kwargs: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the given inputs in float64, then random ones of the same shapes."""
    yield in_double((args, kwargs))
    yield alike(in_double((args, kwargs)), seed=1)
