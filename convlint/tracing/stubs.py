"""Stands in for torchvision's compiled operators where they do not load.

A torchvision wheel beside another build of torch cannot load its extension, and then even
``import torchvision`` fails (``operator torchvision::nms does not exist``). convlint needs
shapes only, so the operators are declared, without kernels: a classifier is read whole, a
detector up to the operator that needs boxes.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_TRIGGER = "torchvision._meta_registrations"
_DECLARED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class TorchvisionOperators:
    """A meta path finder that declares the missing operators just before they are used."""

    def __init__(self) -> None:
        self.library: Any = None

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Declare the operators when torchvision is about to register against them."""
        del path, target
        if name == _TRIGGER and self.library is None:
            self.library = _declare_missing()
        return None


def install() -> None:
    """Put the finder in front of ``sys.meta_path``, once."""
    if not any(isinstance(finder, TorchvisionOperators) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchvisionOperators())


def _declare_missing() -> object:
    import torch

    extension = importlib.import_module("torchvision.extension")
    if extension._has_ops():
        return "present"
    library = torch.library.Library("torchvision", "DEF")
    for schema in _DECLARED:
        library.define(schema)
    return library
