"""Reads whole model zoos and compares the counts with torch's own counter.

    python benchmarks/zoo.py torchvision timm [--match PATTERN] [--limit N]

The zoos stand in ``benchmarks/zoos/``, one module a package that says what to install.
Prints a line for every model that was not read or not counted exactly, and at the end of
each zoo: read / exact / failed, and the median seconds a model (after ``import torch``).
"exact" compares MACs with ``FlopCounterMode`` on meta tensors, which counts two operations
a MAC; models it cannot run are left out of that column.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import gc
import io
import logging
import statistics
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import zoos
from convlint import cost
from convlint.tracing import build, inputs, read, stubs, weights
from convlint.tracing.failures import ReadError
from convlint.tracing.sources import Locator
from convlint.tracing.tensors import spec_of, tensors_in
from convlint.wire import InputSpec, Request


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one model: seconds to read it, MACs here and by torch's counter.

    ``seconds`` are those of the processor, which other work on the machine does not lengthen.
    """

    name: str
    seconds: float
    status: str
    macs: int = 0
    torch_macs: int | None = None
    words: str = ""


def read_one(entry: zoos.Entry) -> Result:
    """Return what came of one model."""
    started = time.process_time()
    try:
        model = build.build(entry.make)
        reading = _read(model, entry)
    except ReadError as error:
        return Result(
            entry.name, time.process_time() - started, "failed", words=error.failure.message
        )
    except Exception as error:
        return Result(entry.name, time.process_time() - started, "failed", words=repr(error))
    seconds = time.process_time() - started
    status = "partial" if reading.stopped else "complete"
    words = reading.stopped.message if reading.stopped else ""
    macs = cost.count(reading.graph).macs
    return Result(entry.name, seconds, status, macs, _torch_macs(model, entry, reading), words)


def _read(model: nn.Module, entry: zoos.Entry) -> read.Reading:
    locator = Locator(".")
    if entry.inputs is None:
        return read.read_model(model, Request(entry.name, ".", module="zoo"), locator)
    given = entry.inputs("cpu")
    specs = [spec_of(tensor) for tensor in tensors_in(given)]
    told = tuple(InputSpec(spec.shape, spec.dtype) for spec in specs)
    return read.read_with(model, entry.inputs("meta"), given, told, locator)


def _torch_macs(model: nn.Module, entry: zoos.Entry, reading: read.Reading) -> int | None:
    if reading.stopped is not None:
        return None
    given: Any = entry.inputs("meta") if entry.inputs else inputs.make(reading.inputs, "meta")
    try:
        model = model.to("meta").eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(*given[0], **given[1])
    except Exception:
        return None
    return counter.get_total_flops() // 2


def sweep(zoo: str, match: str, limit: int) -> int:
    """Read one zoo, print its table; return how many models failed."""
    results: list[Result] = []
    for entry in zoos.entries(zoo):
        if not fnmatch.fnmatch(entry.name, match) or (limit and len(results) >= limit):
            continue
        _forget()
        with contextlib.redirect_stdout(io.StringIO()):
            result = read_one(entry)
        results.append(result)
        differs = result.torch_macs is not None and result.torch_macs != result.macs
        if result.status != "complete" or differs:
            counts = f"{result.macs} MACs, torch {result.torch_macs}" if differs else ""
            print(f"  {result.name:40} {result.status:9} {counts} {result.words[:200]}", flush=True)
    _summary(zoo, results)
    return sum(r.status == "failed" for r in results)


def _forget() -> None:
    """Leave the garbage collector nothing of the models before, as in a process of its own."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def _summary(zoo: str, results: list[Result]) -> None:
    failed = sum(r.status == "failed" for r in results)
    compared = [r for r in results if r.torch_macs is not None]
    exact = sum(r.macs == r.torch_macs for r in compared)
    median = statistics.median(r.seconds for r in results) if results else 0.0
    print(
        f"{zoo}: read {len(results) - failed} of {len(results)}"
        f" ({sum(r.status == 'partial' for r in results)} partial), failed {failed};"
        f" exact {exact} of {len(compared)} that FlopCounterMode runs;"
        f" median {median:.3f} s of CPU, slowest {max((r.seconds for r in results), default=0):.1f} s",
        flush=True,
    )


def main() -> int:
    """Sweep the zoos named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoos", nargs="+", choices=zoos.ZOOS)
    parser.add_argument("--match", default="*")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    stubs.install()
    weights.skip_weights()
    failed = [sweep(zoo, options.match, options.limit) for zoo in options.zoos]
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
