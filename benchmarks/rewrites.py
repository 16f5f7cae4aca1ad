"""Times every exact rule's rewrite on an example, and the swaps of the main job, on each backend.

    python benchmarks/rewrites.py [--only CL401,kernel-5x5] [--missing] [--backends eager,openvino]
                                  [--seconds 2] [--list] [--page]

Each row is a model now and after the rewrite (or a layer and what replaces it), one thread, batch
1, float32, called in turn. Times are processor times of this process, so that what other programs
take from the machine is not in them. The figures go to
benchmarks/rewrites.json, from which docs/measured.md is written; a row measured again replaces its
old one. ``--missing`` measures what the file does not have, ``--page`` only writes the page and the
figures in the rules' own pages (then run ``make docs``).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import logging
import math
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measured import page, quotes, results
from benchmarks.measured.results import RowResult, Time, VariantResult
from benchmarks.measured.rows import Rewritten, Row, Swapped
from benchmarks.proof import randomise
from convlint import gate, plugins, profiles
from convlint.applying import Applied, Task, apply
from convlint.applying.measuring import Variant, machine, on_backend
from convlint.errors import ConvlintError
from convlint.settings import Settings
from convlint.tracing import stubs, weights
from convlint.work import Timing

BACKENDS = ("eager", "compile", "onnxruntime", "openvino")


def rows() -> Iterator[Row]:
    """Yield all rows; torchvision has to be importable (``stubs.install``)."""
    from benchmarks.measured import exact, patterns

    return itertools.chain(exact.rows(), patterns.rows())


def measure(row: Row, timing: Timing, old: RowResult | None) -> RowResult:
    """Return a row measured; backends that are not asked for keep their old figures.

    Raises ConvlintError for a rule that is not there, or that finds nothing in its example.
    """
    made = _made(row)
    inputs = _inputs(row)
    variants = [
        Variant(name, one.module, inputs, one.after.cost.macs) for name, one in made.items()
    ]
    times: dict[str, dict[str, Time]] = {variant.name: {} for variant in variants}
    skipped: dict[str, str] = {}
    if old is not None and [v.name for v in old.variants] == list(times):
        times = {variant.name: dict(variant.times) for variant in old.variants}
        skipped = dict(old.skipped)
    for backend in timing.backends:
        if backend == "compile" and isinstance(row, Rewritten) and row.whole:
            continue
        for name in times:
            times[name].pop(backend, None)
        timed, why = on_backend(backend, variants, timing, time.process_time)
        skipped = {key: text for key, text in skipped.items() if key != backend}
        if why:
            skipped[backend] = "; ".join(why)
        for each in timed:
            figures = (each.ratio, each.ratio_low, each.ratio_high)
            times[each.variant][backend] = Time(*(round(f, 3) for f in figures), each.runs)
    return _result(row, made, times, skipped, timing)


def _made(row: Row) -> dict[str, Applied]:
    """Return the variants by name, the one to compare with first."""
    inputs = _inputs(row)
    if isinstance(row, Swapped):
        return {name: _apply(_random(make()), inputs, ()) for name, make in row.variants}
    model = _random(row.make())
    known = plugins.load_rules()
    settings = Settings(root=Path.cwd(), select=row.rules, profile=profiles.load(row.profile))
    active = gate.active_rules(known, settings)
    after = apply(Task(model, inputs, {}, active, settings.profile))
    missing = set(row.rules) - {change.code for change in after.changes}
    if missing:
        why = "; ".join((*after.refused, after.note)).strip("; ") or "nothing found"
        raise ConvlintError(f"{', '.join(sorted(missing))}: {why}")
    return {"now": _apply(model, inputs, ()), "after": after}


def _apply(model: nn.Module, inputs: tuple[torch.Tensor, ...], active: tuple) -> Applied:
    return apply(Task(model, inputs, {}, active))


def _random(model: nn.Module) -> nn.Module:
    model.eval()
    randomise(model)
    return model


def _inputs(row: Row) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=generator) for shape in row.shapes)


def _result(
    row: Row,
    made: dict[str, Applied],
    times: dict[str, dict[str, Time]],
    skipped: dict[str, str],
    timing: Timing,
) -> RowResult:
    first, last = next(iter(made.values())), list(made.values())[-1]
    base = first.after.cost
    variants = tuple(
        VariantResult(
            name,
            round(one.after.cost.macs / max(1, base.macs), 4),
            round(_moved(one) / max(1, _moved(first)), 4),
            times[name],
        )
        for name, one in made.items()
    )
    shapes = ", ".join("x".join(map(str, shape)) for shape in row.shapes)
    rules = row.rules if isinstance(row, Rewritten) else ()
    return RowResult(
        row.name,
        row.what,
        shapes,
        rules,
        variants,
        f"{machine(timing)}, {versions()}",
        len(last.changes),
        last.largest_difference,
        skipped,
    )


def _moved(one: Applied) -> int:
    return one.after.cost.activation_bytes + one.after.cost.bytes_read


def versions() -> str:
    """Return the versions of the runtimes."""
    names = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
    return ", ".join(f"{word} {importlib.metadata.version(name)}" for name, word in names.items())


def _chosen(options: argparse.Namespace, kept: dict[str, RowResult]) -> list[Row]:
    every = list(rows())
    names = {row.name for row in every}
    wanted = set(options.only.split(",")) if options.only else names
    if wanted - names:
        sys.exit(f"no row {', '.join(sorted(wanted - names))}; --list names them")
    backends = set(options.backends.split(","))
    return [
        row
        for row in every
        if row.name in wanted and not (options.missing and _has(kept, row, backends))
    ]


def _has(kept: dict[str, RowResult], row: Row, backends: set[str]) -> bool:
    if isinstance(row, Rewritten) and row.whole:
        backends = backends - {"compile"}
    known = kept.get(row.name)
    return known is not None and all(
        backend in known.skipped or backend in known.variants[-1].times for backend in backends
    )


def main() -> int:
    """Measure what the command line asks for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="names of rows, by comma")
    parser.add_argument("--missing", action="store_true", help="only rows without figures")
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--seconds", type=float, default=2.0, help="for each row and backend")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--page", action="store_true", help="write the page, measure nothing")
    options = parser.parse_args()
    stubs.install()
    weights.skip_weights()
    if options.list:
        print("\n".join(f"{row.name:18} {row.what}" for row in rows()))
        return 0
    failed = 0 if options.page else _measure_all(options)
    kept = _in_order(results.load())
    results.save({row.name: row for row in kept})
    page.write(kept)
    if options.page:
        print("\n".join(quotes.write(kept)))
    return 1 if failed else 0


def _measure_all(options: argparse.Namespace) -> int:
    """Measure, keep and print the rows; return how many could not be."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    backends = tuple(options.backends.split(","))
    timing = Timing(backends, threads=1, seconds=options.seconds)
    failed = 0
    for row in _chosen(options, results.load()):
        try:
            made = measure(row, timing, results.load().get(row.name))
        except Exception as error:
            failed += 1
            print(f"{row.name:18} not measured: {error}", flush=True)
            continue
        results.save({**results.load(), row.name: made})
        print(page.line(made), flush=True)
    return failed


def _in_order(kept: dict[str, RowResult]) -> list[RowResult]:
    places = {row.name: place for place, row in enumerate(rows())}
    known = [row for row in kept.values() if row.name in places]
    return sorted(known, key=lambda row: places.get(row.name, math.inf))


if __name__ == "__main__":
    sys.exit(main())
