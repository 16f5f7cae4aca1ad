"""Leaves out an import of torch that tracing does not need; private to torch, all in one place.

The first call of a Python-decomposed operator imports ``torch._dynamo`` (most of a second),
only to ask it to leave that function alone. The functions are marked as asked already.
Where torch's internals look otherwise nothing is done, and the import happens.
"""

from __future__ import annotations

import gc
from types import FunctionType
from typing import Any


def skip_dynamo() -> int:
    """Mark every wrapper that would import ``torch._dynamo``; return how many were marked.

    Only for a process of convlint's own: nothing is compiled there.
    """
    try:
        from torch import _compile

        wrapper = _compile._disable_dynamo(_nothing).__code__  # type: ignore[union-attr]
    except (ImportError, AttributeError):
        return 0
    marked = 0
    for found in gc.get_objects():
        if type(found) is FunctionType and found.__code__ is wrapper:
            wrapped = _closed_over(found)
            if wrapped is not None and not hasattr(wrapped, "__dynamo_disable"):
                wrapped.__dynamo_disable = wrapped
                marked += 1
    return marked


def _closed_over(wrapper: FunctionType) -> Any:
    """Return the function that the wrapper holds in its closure."""
    cells = dict(zip(wrapper.__code__.co_freevars, wrapper.__closure__ or (), strict=False))
    return cells["fn"].cell_contents if "fn" in cells else None


def _nothing() -> None:
    return None
