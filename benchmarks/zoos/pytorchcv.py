"""Every model of pytorchcv. ``pip install pytorchcv``."""

from __future__ import annotations

from collections.abc import Iterator

from pytorchcv.model_provider import _models, get_model

from benchmarks.zoos import Entry


def entries() -> Iterator[Entry]:
    """Yield the models that the provider knows, without weights."""
    for name in sorted(_models):
        yield Entry(name, lambda name=name: get_model(name, pretrained=False))
