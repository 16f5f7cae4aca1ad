"""Time and memory against the size of the model: what grows faster than the model does?

Each model is built and linted in a process of its own. Printed are CPU seconds of each step (the
wall clock would tell of what else the machine does), the most memory, and for every step the exponent of its growth in nodes plus edges, fitted over the
larger half of the sizes (n log n fits with about 1.1).

    python benchmarks/scale.py                      # the sizes that take a minute or two
    python benchmarks/scale.py --family chain --sizes 1000 20000
    python benchmarks/scale.py --rules              # each rule as well
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = {
    "chain": (250, 500, 1000, 2000, 4000),
    "biased": (250, 500, 1000, 2000),
    "resnet": (250, 500, 1000, 2000, 4000),
    "densenet": (50, 100, 200, 400),
    "darts": (2, 4, 8, 16),
}
ROOT = Path(__file__).resolve().parent.parent
SMALL = 0.02
"""Seconds under which a step's growth is not told: it is noise."""


def make(family: str, size: int) -> Any:
    """Return a model: ``size`` is its convolutions (chain, resnet, densenet) or cells (darts)."""
    from benchmarks import scale_models

    return getattr(scale_models, family)(size)


def measure(family: str, size: int) -> dict[str, Any]:
    """Return what one model costs to lint in this process: seconds by step and by rule."""
    from convlint.tracing import shortcuts

    shortcuts.import_torch()
    import torch

    from convlint import checking, gate, plugins, wire
    from convlint.ir import codec
    from convlint.settings import Settings
    from convlint.timing import Stopwatch
    from convlint.tracing import twins
    from convlint.tracing.lowering import lower
    from convlint.tracing.tensors import KnownValues
    from convlint.tracing.tracer import record

    active = gate.graph_rules(gate.active_rules(plugins.load_rules(), Settings(root=ROOT)))
    steps: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = work()
        steps[name] = time.process_time() - started
        return result

    with torch.device("meta"):
        model = step("build", lambda: make(family, size))
    from convlint.tracing.sources import Locator

    known, locator = KnownValues(), Locator(str(ROOT))
    x = torch.empty(1, 3, 32, 32, device="meta")
    with twins.on_meta(model, known) as storages:
        trace = step("record", lambda: record(model, (x,), {}, locator=locator, known=known))
        assert trace.stopped is None, trace.stopped
        graph = step("lower", lambda: lower(trace, storages))
    reply = wire.Reply("model", "complete", graph=graph.document())
    data = step("encode", lambda: wire.encode(reply))
    reply = step("decode", lambda: wire.decode_reply(data))
    assert reply.graph is not None
    document = reply.graph
    step("validate", lambda: codec.open_document(document))
    watch = Stopwatch(time.process_time)
    report = step("check", lambda: checking.check_model(reply, watch.around(active)))
    assert report.status == "complete", report.diagnostics
    return {
        "nodes": len(graph),
        "edges": sum(len(node.inputs) for node in graph),
        "steps": steps,
        "rules": watch.seconds,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def exponent(points: list[tuple[int, float]]) -> float | None:
    """Return the slope of log(seconds) over log(size), fitted; None for what is too small."""
    kept = [(math.log(n), math.log(t)) for n, t in points if t >= SMALL]
    kept = kept[-max(3, len(kept) // 2) :]
    if len(kept) < 2:
        return None
    middle = [sum(axis) / len(kept) for axis in zip(*kept, strict=True)]
    over = sum((x - middle[0]) * (y - middle[1]) for x, y in kept)
    return over / sum((x - middle[0]) ** 2 for x, _ in kept)


def run(family: str, size: int) -> dict[str, Any]:
    """Return :func:`measure` of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.scale", "--one", family, str(size)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{family} {size}: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def show(family: str, sizes: list[int], *, rules: bool) -> None:
    """Print one line a size, then the exponents."""
    found = []
    for size in sizes:
        result = run(family, size)
        found.append(result)
        if len(found) == 1:
            print(f"\n{family:>9} {'nodes':>7} {'edges':>8} {'MiB':>6}", end="")
            print("".join(f"{name:>10}" for name in result["steps"]), f"{'all':>9}")
        total = sum(result["steps"].values())
        print(f"{size:>9} {result['nodes']:>7} {result['edges']:>8} {result['mib']:>6.0f}", end="")
        print("".join(f"{t:>10.2f}" for t in result["steps"].values()), f"{total:>9.2f}")
    sized = [(r["nodes"] + r["edges"], r) for r in found]
    print(f"{'exponent':>9} {'':>23}", end="")
    for name in found[0]["steps"]:
        print(f"{_told(exponent([(n, r['steps'][name]) for n, r in sized])):>10}", end="")
    print(f"{_told(exponent([(n, sum(r['steps'].values())) for n, r in sized])):>10}")
    if not rules:
        return
    last = found[-1]["rules"]
    for code in sorted(last, key=last.__getitem__, reverse=True):
        points = [(n, r["rules"].get(code, 0.0)) for n, r in sized]
        print(f"{code:<40} {last[code]:>8.2f} s  exponent {_told(exponent(points))}")


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--family", choices=SIZES)
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--rules", action="store_true", help="each rule as well")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.one:
        print(json.dumps(measure(words.one[0], int(words.one[1]))))
        return
    for family in [words.family] if words.family else SIZES:
        show(family, words.sizes or list(SIZES[family]), rules=words.rules)


if __name__ == "__main__":
    main()
