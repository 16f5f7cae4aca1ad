"""Looks through compiled code: the operators that a TorchScript module runs.

A scripted module runs in C++, where no Python function is called; what it runs is seen by
the dispatcher only, as operators (``aten.convolution``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

Record = Callable[[Any, Any, dict[str, Any]], Any]


class _Operators(TorchDispatchMode):
    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunction():
            return self._record(func, args, kwargs or {})


def seen(module: nn.Module, record: Record) -> AbstractContextManager[Any]:
    """Return a context in which the operators of a scripted module are recorded one by one.

    For any other module it does nothing.
    """
    if isinstance(module, torch.jit.ScriptModule) and _is_compiling():
        return _Operators(record)
    return nullcontext()


def _is_compiling() -> bool:
    """Tell whether TorchScript is on; under PYTORCH_JIT=0 its modules are plain Python."""
    return hasattr(torch.jit.RecursiveScriptModule, "_construct")
