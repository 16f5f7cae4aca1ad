"""Every timm model. ``pip install timm``."""

from __future__ import annotations

from collections.abc import Iterator

import timm

from benchmarks.zoos import Entry


def entries() -> Iterator[Entry]:
    """Yield the models that ``list_models()`` names."""
    for name in timm.list_models():
        yield Entry(name, lambda name=name: timm.create_model(name, pretrained=False))
