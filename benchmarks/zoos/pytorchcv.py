"""Every model of pytorchcv. ``pip install pytorchcv``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from pytorchcv.model_provider import _models, get_model

from benchmarks.zoos import Entry, Given

_TALKING = {
    "nvpattexp116bazel76": ((2, 8, 16, 29), (2,)),
    "visemenet20": ((34, 8, 195), (34, 76)),
    "voca8flame": ((2, 1, 16, 29), (2,)),
}
_VIDEO = {
    "propainter_rfc": ((1, 5, 2, 240, 432), (1, 5, 1, 240, 432)),
    "propainter_ip": ((5, 3, 240, 432), (5, 1, 240, 432), (4, 4, 240, 432)),
}


def entries() -> Iterator[Entry]:
    """Yield the models that the provider knows, without weights.

    Faces from speech take windows of features and the number of a person, video repair frames
    and masks: those inputs are given.
    """
    for name in sorted(_models):
        yield Entry(name, lambda name=name: get_model(name, pretrained=False), _inputs(name))


def _inputs(name: str) -> Callable[[str], Given] | None:
    if name in _TALKING:
        return lambda device: (_talking(name, device), {})
    if name in _VIDEO:
        return lambda device: (tuple(torch.zeros(s, device=device) for s in _VIDEO[name]), {})
    return None


def _talking(name: str, device: str) -> tuple[torch.Tensor, ...]:
    features, person = _TALKING[name]
    given = torch.zeros(features, device=device)
    return given, torch.full(person, 3, dtype=torch.int64, device=device)
