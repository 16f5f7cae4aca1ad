"""Every model of pytorchcv. ``pip install pytorchcv``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

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
    "propainter": (
        *((1, 7, channels, 240, 432) for channels in (3, 1, 1)),
        (1, 4, 4, 240, 432),
    ),
}
_LOCAL = {"propainter": (5,)}
"""Numbers that ``forward`` takes after the tensors: how many frames are near the one repaired."""
_SPEECH = ("jasper", "quartznet")
_BANDS, _FRAMES = 64, 640


def entries() -> Iterator[Entry]:
    """Yield the models that the provider knows, without weights.

    Faces from speech take windows of features and the number of a person, video repair frames
    and masks, speech recognition spectra and their lengths: those inputs are given. The last ones
    are built without their own preprocessor, whose ``torch.stft`` call torch no longer takes.
    """
    for name in sorted(_models):
        more = {"from_audio": False, "return_text": False} if _is_speech(name) else {}
        yield Entry(name, partial(get_model, name, pretrained=False, **more), _inputs(name))


def _is_speech(name: str) -> bool:
    return name.startswith(_SPEECH)


def _inputs(name: str) -> Callable[[str], Given] | None:
    if name in _TALKING:
        return lambda device: (_talking(name, device), {})
    if name in _VIDEO:
        return lambda device: (_video(name, device), {})
    if _is_speech(name):
        return lambda device: (_spectrum(device), {})
    return None


def _talking(name: str, device: str) -> tuple[torch.Tensor, ...]:
    features, person = _TALKING[name]
    given = torch.zeros(features, device=device)
    return given, torch.full(person, 3, dtype=torch.int64, device=device)


def _video(name: str, device: str) -> tuple[torch.Tensor | int, ...]:
    maps = (torch.zeros(shape, device=device) for shape in _VIDEO[name])
    return *maps, *_LOCAL.get(name, ())


def _spectrum(device: str) -> tuple[torch.Tensor, ...]:
    given = torch.zeros(1, _BANDS, _FRAMES, device=device)
    return given, torch.full((1,), _FRAMES, dtype=torch.int64, device=device)
