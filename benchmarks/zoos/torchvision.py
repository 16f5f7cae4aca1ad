"""Every torchvision model, the quantized ones aside. ``pip install torchvision``."""

from __future__ import annotations

from collections.abc import Iterator

import torchvision
from torch import nn

from benchmarks.zoos import Entry, Maker


def entries() -> Iterator[Entry]:
    """Yield the models that ``list_models()`` names."""
    for name in torchvision.models.list_models():
        if not name.startswith("quantized_"):
            extra = {} if "raft" in name or "vit" in name else {"weights_backbone": None}
            yield Entry(name, _maker(name, extra))


def _maker(name: str, extra: dict[str, None]) -> Maker:
    def make() -> nn.Module:
        try:
            return torchvision.models.get_model(name, weights=None, **extra)
        except (TypeError, ValueError):
            return torchvision.models.get_model(name, weights=None)

    return make
