"""Compares counts with those that torchvision publishes for each of its weights.

    python benchmarks/published.py [--match PATTERN]

Every weight entry of torchvision's classification (quantized ones included, built in float),
segmentation and video models carries ``_ops`` (GMACs of convolutions and matrix products,
three decimals) and ``num_params``. The models are built without weights and read at the
entry's own input: the crop of its transforms, 520x520 for segmentation, 16 frames for video.
Prints a line an entry, and at the end how many are equal.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from convlint import cost
from convlint.tracing import build, read, stubs
from convlint.tracing.sources import Locator
from convlint.wire import InputSpec, Request

ROOMS = ("classification", "quantization", "segmentation", "video")
FRAMES = 16
SEGMENTATION_SIDE = 520


@dataclass(frozen=True, slots=True)
class Entry:
    """One weight entry: what is published, and how to build the model it belongs to."""

    model: str
    weights: str
    room: str
    shape: tuple[int, ...]
    gmacs: float
    params: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What was counted for an entry; ``gmacs`` at three decimals."""

    entry: Entry
    gmacs: float
    params: int
    status: str

    @property
    def equal(self) -> bool:
        """MACs at three decimals and parameters are the published ones."""
        found = (self.status, self.gmacs, self.params)
        return found == ("complete", self.entry.gmacs, self.entry.params)


def entries() -> Iterator[Entry]:
    """Yield every entry of the rooms, in order of model names."""
    from torchvision import models

    for name in models.list_models():
        for weights in models.get_model_weights(name):
            parts = type(weights).__module__.split(".")
            room = parts[2] if len(parts) > 3 else "classification"
            if room in ROOMS:
                shape = _shape(room, weights)
                meta = weights.meta
                params = meta["num_params"]
                yield Entry(name, weights.name, room, shape, meta["_ops"], params)


def _shape(room: str, weights: Any) -> tuple[int, ...]:
    if room == "segmentation":
        return (1, 3, SEGMENTATION_SIDE, SEGMENTATION_SIDE)
    crop = weights.transforms().crop_size
    sides = (crop[0], crop[-1]) if isinstance(crop, (list, tuple)) else (crop, crop)
    return (1, 3, FRAMES, *sides) if room == "video" else (1, 3, *sides)


def compare(entry: Entry) -> Compared:
    """Build the entry's model without weights, read it and count it."""
    from torchvision import models

    asked = Request(entry.model, ".", module="zoo", inputs=((InputSpec(entry.shape),),))
    model = build.build(lambda: models.get_model(entry.model, weights=None, **_options(entry)))
    reading = read.read_model(model, asked, Locator("."))
    counted = cost.count(reading.graph)
    status = "partial" if reading.stopped else "complete"
    return Compared(entry, round(counted.macs / 1e9, 3), counted.params, status)


def _options(entry: Entry) -> dict[str, Any]:
    """Return how the published weights' model differs from the default one."""
    if entry.room == "segmentation":
        aux = "lraspp" not in entry.model
        return {"weights_backbone": None, "num_classes": 21, "aux_loss": aux}
    if "googlenet" in entry.model:
        return {"aux_logits": False, "init_weights": False}
    if entry.model.startswith("vit"):
        return {"image_size": entry.shape[-1]}
    return {}


def main() -> int:
    """Print the table; 1 where an entry differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--match", default="*", help="a pattern of model names")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    stubs.install()
    started = time.perf_counter()
    chosen = [entry for entry in entries() if fnmatch.fnmatch(entry.model, options.match)]
    equal = 0
    for entry in chosen:
        try:
            found = compare(entry)
        except Exception as error:
            print(f"{entry.model:32} {entry.weights:28} failed: {error}", flush=True)
            continue
        equal += found.equal
        print(
            f"{entry.model:32} {entry.weights:28} {'x'.join(map(str, entry.shape)):16}"
            f" {found.gmacs:9.3f} {entry.gmacs:9.3f} GMACs {found.params:11d} {entry.params:11d}"
            f" params  {'equal' if found.equal else 'DIFFERS ' + found.status}",
            flush=True,
        )
    seconds = time.perf_counter() - started
    print(f"{equal} of {len(chosen)} entries equal, {seconds:.0f} s")
    return int(equal < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
