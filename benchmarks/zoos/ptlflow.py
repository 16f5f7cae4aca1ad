"""Every optical flow net of ptlflow: a dict of images goes in, a dict comes out.

``pip install ptlflow`` (or with ``--no-deps``: lightning torchmetrics jsonargparse loguru
einops omegaconf opencv-python-headless).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import ptlflow
import torch

from benchmarks.zoos import Entry, Given

_FRAMES = {"memfof": 3, "splatflow": 3, "streamflow": 4, "videoflow_bof": 3, "videoflow_mof": 5}


def entries() -> Iterator[Entry]:
    """Yield the nets on two frames (those for video: on more)."""
    for name in ptlflow.get_model_names():
        make = partial(ptlflow.get_model, name)
        yield Entry(name, make, _images(_FRAMES.get(name, 2)))


def _images(frames: int) -> Callable[[str], Given]:
    def inputs(device: str) -> Given:
        return ({"images": torch.rand(1, frames, 3, 256, 320, device=device)},), {}

    return inputs
