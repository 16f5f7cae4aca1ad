"""The zoos: one module a package, each with ``entries()``; imported only when swept."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

ZOOS = (
    "torchvision",
    "timm",
    "pytorchcv",
    "smp",
    "monai",
    "spandrel",
    "demucs",
    "braindecode",
    "ptlflow",
)
Maker = Callable[[], nn.Module]
Given = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a zoo: how it is made, and its inputs where they cannot be inferred.

    ``inputs`` makes (args, kwargs) of meta tensors on the device it is given.
    """

    name: str
    make: Maker
    inputs: Callable[[str], Given] | None = None


def entries(zoo: str) -> Iterator[Entry]:
    """Yield every model of a zoo; raise ModuleNotFoundError where it is not installed."""
    module = importlib.import_module(f"benchmarks.zoos.{zoo}")
    found: Iterator[Entry] = module.entries()
    return found
