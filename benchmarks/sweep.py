"""Scores a search space of generated architectures: one line a model, resumable after a kill.

    python benchmarks/sweep.py scores.jsonl                     # 1,000 models, in worker processes
    python benchmarks/sweep.py scores.jsonl --models 5000 --workers 8
    python benchmarks/sweep.py scores.jsonl --dask tcp://scheduler:8786

Started again with the same file it goes on where it was. Memory does not grow with the number of
models: they are made and linted where there is room, and a line is written as each report comes.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 160)
KERNELS = (3, 5, 7, 9)
GROUPS = (1, 2, 4, 8)
DEPTHS = (2, 3, 4, 6, 8, 10, 12)
SIDE = 64


def make(width: int, kernel: int, groups: int, depth: int) -> Any:
    """Return one architecture of the space."""
    from torch import nn

    layers: list[Any] = [nn.Conv2d(3, width, 3, 2, 1), nn.ReLU()]
    for _ in range(depth):
        grouped = groups if width % groups == 0 else 1
        layers.append(nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=grouped))
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def space(count: int) -> Iterator[dict[str, int]]:
    """Yield this many points of the space, the whole of it again where it is too small."""
    points = itertools.product(WIDTHS, KERNELS, GROUPS, DEPTHS)
    for width, kernel, groups, depth in itertools.islice(itertools.cycle(points), count):
        yield {"width": width, "kernel": kernel, "groups": groups, "depth": depth}


def done_in(path: Path) -> int:
    """Return how many whole lines the file has; a line that a kill cut short is taken off."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        data = file.read()
        whole = data.rpartition(b"\n")[0]
        end = len(whole) + 1 if whole or data.startswith(b"\n") else 0
        file.truncate(end)
    return data[:end].count(b"\n")


def score(path: Path, count: int, executor: Executor | None) -> int:
    """Lint what the file lacks, append a line for each; return how many there were to do."""
    import convlint

    done = done_in(path)
    points, again = itertools.tee(itertools.islice(space(count), done, None))
    candidates = (
        convlint.Candidate(functools.partial(make, **point), (f"1x3x{SIDE}x{SIDE}",))
        for point in again
    )
    with path.open("a", encoding="utf-8") as file:
        reports = convlint.lint_many(candidates, executor)
        count = 0
        for point, report in zip(points, reports, strict=False):
            line = {
                **point,
                "status": report.status,
                "macs": report.totals.macs,
                "params": report.totals.params,
                "macs_after": report.after.all.macs,
                "findings": sorted({finding.code for finding in report.findings}),
            }
            file.write(json.dumps(line) + "\n")
            file.flush()
            count += 1
    return count


def main() -> None:
    """Run the sweep and print how fast it was."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--dask", help="address of a Dask scheduler to run on")
    words = parser.parse_args()
    started = time.perf_counter()
    if words.dask:
        from distributed import Client

        with Client(words.dask) as client:
            count = score(words.file, words.models, client.get_executor())
    else:
        with ProcessPoolExecutor(words.workers, get_context("spawn")) as pool:
            count = score(words.file, words.models, pool)
    seconds = time.perf_counter() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = f", {seconds / count:.3f} s each" if count else ""
    print(f"{count} models in {seconds:.1f} s{each}; {most:.0f} MiB here at the most")


if __name__ == "__main__":
    main()
