"""The music separation nets of demucs. ``pip install demucs`` (julius, einops)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs

from benchmarks.zoos import Entry, Given

_SOURCES = ["drums", "bass", "other", "vocals"]
_NETS: dict[str, tuple[Any, dict[str, Any]]] = {
    "demucs": (Demucs, {}),
    "demucs_lstm": (Demucs, {"lstm_layers": 2, "depth": 4}),
    "demucs_no_resample": (Demucs, {"resample": False, "dconv_mode": 3}),
    "hdemucs": (HDemucs, {}),
    "hdemucs_cac_off": (HDemucs, {"cac": False, "wiener_iters": 0}),
    "hdemucs_spectrogram_only": (HDemucs, {"hybrid": False}),
    "htdemucs": (HTDemucs, {}),
    "htdemucs_deep": (HTDemucs, {"t_layers": 2, "bottom_channels": 64}),
}


def _audio(device: str) -> Given:
    return (torch.rand(1, 2, 44100 * 4, device=device),), {}


def entries() -> Iterator[Entry]:
    """Yield the nets on four seconds of stereo audio."""
    for name, (kind, options) in _NETS.items():
        yield Entry(name, lambda kind=kind, options=options: kind(_SOURCES, **options), _audio)
