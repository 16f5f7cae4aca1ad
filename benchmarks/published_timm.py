"""Compares counts with timm's published GMACs, and explains each gap.

    python -m benchmarks.published_timm CSV [--match PATTERN] [--every N]

CSV is one of timm's ``results/benchmark-infer-*.csv`` (columns model, infer_img_size and
infer_gmacs, two decimals, counted there by DeepSpeed or fvcore). An entry is "equal" where our
MACs round to it, "norms" where they do with the norms, pooling and interpolation that fvcore
counts, "attention" where fvcore's count less the fused attention does; else the gap is shown.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import sys
import warnings
from collections import Counter
from pathlib import Path

from convlint import cost
from convlint.cost.peers import PEERS, ask
from convlint.ir import nodes as ir
from convlint.tracing import build, read, stubs
from convlint.tracing.sources import Locator
from convlint.wire import InputSpec, Request


def explain(name: str, side: int, published: float) -> tuple[str, float]:
    """Return the verdict on one entry, and our GMACs."""
    import timm

    asked = Request(name, ".", module="zoo", inputs=((InputSpec((1, 3, side, side)),),))
    model = build.build(lambda: timm.create_model(name, pretrained=False))
    graph = read.read_model(model, asked, Locator(".")).graph
    counted = cost.count(graph)
    said = ask(PEERS["fvcore"], graph)
    ours, more = counted.macs / 1e9, said.total / 1e9
    attention = sum(
        counted.macs_of(node.id) for node in graph if isinstance(node.op, ir.Attention)
    ) / 1e9  # fmt: skip
    for verdict, value in (("equal", ours), ("norms", more), ("attention", more + attention)):
        if abs(value - published) < 0.0051:
            return verdict, ours
    return f"gap {100 * (published - ours) / ours:+.1f} %", ours


def main() -> int:
    """Print what is not explained, and how many entries are by what."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--match", default="*")
    parser.add_argument("--every", type=int, default=1, help="take one entry of so many")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    stubs.install()
    with options.csv.open(newline="") as file:
        listed = [row for row in csv.DictReader(file) if row["infer_gmacs"]]
    rows = [row for row in listed if fnmatch.fnmatch(row["model"], options.match)]
    found: Counter[str] = Counter()
    for row in rows[:: options.every]:
        name, published = row["model"], float(row["infer_gmacs"])
        try:
            verdict, ours = explain(name, int(row["infer_img_size"]), published)
        except Exception as error:
            found["not read"] += 1
            print(f"{name:45} not read: {str(error)[:100]}", flush=True)
            continue
        found[verdict.split()[0]] += 1
        if verdict.startswith("gap"):
            print(f"{name:45} {ours:9.3f} {published:9.2f} GMACs  {verdict}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in found.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
