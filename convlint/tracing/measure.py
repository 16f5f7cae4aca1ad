"""MACs of matrix products that have no simple shape formula, by torch's own counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_MEASURED = frozenset(
    [
        "addbmm",
        "addr",
        "baddbmm",
        "bilinear",
        "cdist",
        "chain_matmul",
        "conv_tbc",
        "einsum",
        "ger",
        "inner",
        "kron",
        "multi_dot",
        "outer",
        "tensordot",
        "vecdot",
    ]
)


def call(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> tuple[int, Any]:
    """Return (MACs, result) of a call; the MACs are 0 for functions not measured here.

    ``FlopCounterMode`` counts two operations a MAC on the matrix products that the function
    is made of.
    """
    if func.__name__ not in _MEASURED:
        return 0, func(*args, **kwargs)
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        result = func(*args, **kwargs)
    return counter.get_total_flops() // 2, result


def without_values(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Return an empty meta result of a call that checks values; None where no shape is known."""
    if func.__name__ != "istft":
        return None
    return _istft(*args, **kwargs)


def _istft(
    input: torch.Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    *rest: Any,
    length: int | None = None,
    **options: Any,
) -> torch.Tensor:
    """The shape of ``torch.istft``, which asks whether its windows overlap everywhere."""
    del window, rest
    hop = hop_length or (win_length or n_fft) // 4
    whole = n_fft + hop * (input.shape[-1] - 1) - (2 * (n_fft // 2) if center else 0)
    shape = (*input.shape[:-2], whole if length is None else length)
    dtype = input.dtype if options.get("return_complex") else input.dtype.to_real()
    return torch.empty(shape, dtype=dtype, device="meta")
