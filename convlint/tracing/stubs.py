"""Stands in for torchvision's compiled operators where they do not load.

A torchvision wheel beside another build of torch cannot load its extension, and then even
``import torchvision`` fails (``operator torchvision::nms does not exist``). The operators are
declared here and run in plain torch (``stand_ins.py``): classifiers are read on meta, and
detectors, whose boxes need values, on real tensors.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_REGISTERS = "torchvision._meta_registrations"
_USES = "torchvision.ops"
_ROI = "Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_DECLARED = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": f"({_ROI}, int sampling_ratio, bool aligned) -> Tensor",
    "roi_pool": f"({_ROI}) -> (Tensor, Tensor)",
    "ps_roi_align": f"({_ROI}, int sampling_ratio) -> (Tensor, Tensor)",
    "ps_roi_pool": f"({_ROI}) -> (Tensor, Tensor)",
    "deform_conv2d": (
        "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h,"
        " SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w,"
        " SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor"
    ),
}
_NO_META = ("nms", "qnms")


class TorchvisionOperators:
    """A meta path finder that declares the missing operators just before they are used."""

    def __init__(self) -> None:
        self.library: Any = None

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Declare the operators when torchvision registers against them; say then they exist."""
        del path, target
        if name == _REGISTERS and self.library is None:
            self.library = _declare_missing()
        elif name == _USES and self.library not in (None, "present"):
            extension: Any = importlib.import_module("torchvision.extension")
            extension._has_ops = lambda: True
        return None


def install() -> None:
    """Put the finder in front of ``sys.meta_path``, once."""
    if not any(isinstance(finder, TorchvisionOperators) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchvisionOperators())


def _declare_missing() -> object:
    import torch

    from convlint.tracing import stand_ins

    extension = importlib.import_module("torchvision.extension")
    if extension._has_ops():
        return "present"
    library = torch.library.Library("torchvision", "DEF")
    library.define("_cuda_version() -> int")
    library.impl("_cuda_version", lambda: -1, "CompositeExplicitAutograd")
    for name, schema in _DECLARED.items():
        library.define(f"{name}{schema}")
        run = getattr(stand_ins, name.removeprefix("q"))
        library.impl(name, run, "CPU")
        if name not in _NO_META:
            library.impl(name, run, "Meta")
    return library
