"""MACs of matrix products that have no simple shape formula, by torch's own counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
