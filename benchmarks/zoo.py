"""Reads whole model zoos and compares the counts with torch's own counter.

    python benchmarks/zoo.py torchvision timm [--match PATTERN] [--limit N]

Prints a line for every model that was not read or not counted exactly, and at the end of
each zoo: read / exact / failed, and the median seconds a model (after ``import torch``).
"exact" compares MACs with ``FlopCounterMode`` on meta tensors, which counts two operations
a MAC; models it cannot run are left out of that column.
"""

from __future__ import annotations

import argparse
import fnmatch
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convlint import cost
from convlint.tracing import build, inputs, read, stubs
from convlint.tracing.failures import ReadError
from convlint.tracing.sources import Locator
from convlint.wire import Request

Maker = Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one model: seconds to read it, MACs here and by torch's counter."""

    name: str
    seconds: float
    status: str
    macs: int = 0
    torch_macs: int | None = None
    words: str = ""


def torchvision_models() -> Iterator[tuple[str, Maker]]:
    """Yield every torchvision model, the quantized ones aside."""
    import torchvision

    for name in torchvision.models.list_models():
        if not name.startswith("quantized_"):
            extra = {} if "raft" in name or "vit" in name else {"weights_backbone": None}
            yield name, _torchvision_maker(name, extra)


def _torchvision_maker(name: str, extra: dict[str, None]) -> Maker:
    import torchvision

    def make() -> nn.Module:
        try:
            return torchvision.models.get_model(name, weights=None, **extra)
        except (TypeError, ValueError):
            return torchvision.models.get_model(name, weights=None)

    return make


def timm_models() -> Iterator[tuple[str, Maker]]:
    """Yield every timm model."""
    import timm

    for name in timm.list_models():
        yield name, lambda name=name: timm.create_model(name, pretrained=False)


ZOOS = {"torchvision": torchvision_models, "timm": timm_models}


def read_one(name: str, make: Maker) -> Result:
    """Return what came of one model."""
    started = time.perf_counter()
    request = Request(name, ".", module="zoo")
    try:
        model = build.build(make)
        reading = read.read_model(model, request, Locator("."))
    except ReadError as error:
        return Result(name, time.perf_counter() - started, "failed", words=error.failure.message)
    except Exception as error:
        return Result(name, time.perf_counter() - started, "failed", words=repr(error))
    seconds = time.perf_counter() - started
    status = "partial" if reading.stopped else "complete"
    words = reading.stopped.message if reading.stopped else ""
    macs = cost.count(reading.graph).macs
    return Result(name, seconds, status, macs, _torch_macs(model, reading), words)


def _torch_macs(model: nn.Module, reading: read.Reading) -> int | None:
    if reading.stopped is not None:
        return None
    args, kwargs = inputs.make(reading.inputs, "meta")
    try:
        model = model.to("meta").eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(*args, **kwargs)
    except Exception:
        return None
    return counter.get_total_flops() // 2


def sweep(zoo: str, match: str, limit: int) -> int:
    """Read one zoo, print its table; return how many models failed."""
    results: list[Result] = []
    for name, make in ZOOS[zoo]():
        if not fnmatch.fnmatch(name, match) or (limit and len(results) >= limit):
            continue
        result = read_one(name, make)
        results.append(result)
        differs = result.torch_macs is not None and result.torch_macs != result.macs
        if result.status != "complete" or differs:
            counts = f"{result.macs} MACs, torch {result.torch_macs}" if differs else ""
            print(f"  {name:40} {result.status:9} {counts} {result.words[:160]}", flush=True)
    failed = sum(r.status == "failed" for r in results)
    compared = [r for r in results if r.torch_macs is not None]
    exact = sum(r.macs == r.torch_macs for r in compared)
    median = statistics.median(r.seconds for r in results) if results else 0.0
    print(
        f"{zoo}: read {len(results) - failed} of {len(results)}"
        f" ({sum(r.status == 'partial' for r in results)} partial), failed {failed};"
        f" exact {exact} of {len(compared)} that FlopCounterMode runs;"
        f" median {median:.3f} s, slowest {max((r.seconds for r in results), default=0):.1f} s"
    )
    return failed


def main() -> int:
    """Sweep the zoos named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoos", nargs="+", choices=sorted(ZOOS))
    parser.add_argument("--match", default="*")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    stubs.install()
    return int(any([sweep(zoo, options.match, options.limit) for zoo in options.zoos]))


if __name__ == "__main__":
    sys.exit(main())
