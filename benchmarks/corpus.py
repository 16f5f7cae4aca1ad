"""Lints every model of a zoo and keeps what was found in a text file, one line a finding.

    python benchmarks/corpus.py [torchvision timm] [--match PATTERN] [--jobs 2] [--check]

Writes ``benchmarks/corpus.txt``: first the share of the models on which each rule fires, then,
sorted, model, code, severity, place, number of layers, and what it saves. A change of a rule shows as
a diff of that file. ``--check`` writes nothing, prints the differences and exits with 1 where there
are any. With ``--match`` only those models' lines are compared or replaced. ``--full FILE`` also
writes every finding with its words, as JSON lines. Each model is linted in a process of its own, on
meta tensors, with all rules at their defaults.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import fnmatch
import gc
import importlib.metadata
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import guarded, zoos
from convlint import checking, plugins
from convlint.contract import Finding, ModelReport
from convlint.tracing import build, read, stubs, weights
from convlint.tracing.failures import ReadError
from convlint.tracing.sources import ConstructorLines, Locator
from convlint.tracing.tensors import spec_of, tensors_in
from convlint.wire import InputSpec, Reply, Request

CORPUS = Path(__file__).with_name("corpus.txt")
SECONDS = 300
Active = tuple[checking.ActiveRule, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one model; ``findings`` as builtins."""

    name: str
    status: str
    findings: tuple[dict[str, Any], ...] = ()
    lines: tuple[str, ...] = ()
    words: str = ""
    seconds: float = 0.0


def lint(entry: zoos.Entry, zoo: str, active: Active) -> Result:
    """Return what the rules say about one model."""
    started = time.perf_counter()
    name = f"{zoo}/{entry.name}"
    report = checking.check_model(reply(name, entry), active)
    words = "; ".join(d.message for d in report.diagnostics if d.severity != "info")
    return Result(
        name,
        report.status,
        tuple(msgspec.to_builtins(finding) for finding in report.findings),
        tuple(line(name, finding, report) for finding in report.findings),
        words,
        time.perf_counter() - started,
    )


class _Packages(Locator):
    """Takes the zoos' own files for no part of the model: its lines are the package's."""

    def kind_of(self, filename: str) -> str:
        """Return "package" or "hidden"."""
        kind = super().kind_of(filename)
        return "hidden" if kind == "project" else kind


def reply(name: str, entry: zoos.Entry) -> Reply:
    """Return the trace of one model, on meta tensors."""
    locator = _Packages(".")
    try:
        with ConstructorLines(locator):
            model = build.build(entry.make)
        if entry.inputs is None:
            reading = read.read_model(model, Request(name, ".", module="zoo"), locator)
        else:
            given = entry.inputs("cpu")
            specs = [spec_of(tensor) for tensor in tensors_in(given)]
            told = tuple(InputSpec(spec.shape, spec.dtype) for spec in specs)
            reading = read.read_with(model, entry.inputs("meta"), given, told, locator)
    except ReadError as error:
        return Reply(name, "failed", failure=error.failure)
    return Reply(
        name,
        "partial" if reading.stopped else "complete",
        class_name=type(model).__name__,
        inputs=reading.inputs,
        graph=reading.graph.document(),
        diagnostics=read.stopped_diagnostics(reading),
    )


def _active() -> Active:
    """Return the rules at their defaults, preview ones left out."""
    rules = [rule for rule in plugins.load_rules() if not rule.meta.preview]
    return tuple(checking.ActiveRule(r, r.meta.severity, r.options()) for r in rules)


def line(name: str, finding: Finding, report: ModelReport) -> str:
    """Return the line of one finding."""
    saving, totals = finding.saving, report.totals
    moved = saving.activation_bytes + saving.bytes_read
    whole = totals.activation_bytes + totals.bytes_read
    shares = {
        "MACs": saving.macs_percent,
        "params": saving.params_percent,
        "bytes": round(100 * moved / whole, 2) if whole else 0.0,
    }
    saved = ", ".join(f"{-share:+.2f} % {what}" for what, share in shares.items() if share)
    return (
        f"{name} {finding.code} {finding.severity.value} {_place(finding)} "
        f"x{finding.sites} {saved or '-'}"
    )


def _place(finding: Finding) -> str:
    """Return the line of the package that builds the layers, else the first module."""
    if finding.location is None:
        return finding.modules[0] if finding.modules else "?"
    path = finding.location.path.rpartition("site-packages/")[2]
    return f"{path}:{finding.location.line}"


def _guarded(entry: zoos.Entry, zoo: str, active: Active) -> Result:
    """Lint a model in a forked child, within its time."""
    answer, why = guarded.run(lambda: lint(entry, zoo, active), SECONDS)
    return answer or Result(f"{zoo}/{entry.name}", "failed", words=why)


def sweep(names: Iterable[str], match: str, jobs: int, active: Active) -> Iterator[Result]:
    """Yield the result of every model of the zoos, in order."""
    chosen = [
        (entry, zoo)
        for zoo in names
        for entry in zoos.entries(zoo)
        if fnmatch.fnmatch(entry.name, match)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda pair: _guarded(*pair, active), chosen)


def head(lines: Iterable[str], models: int, packages: Iterable[str], active: Active) -> list[str]:
    """Return the lines before the findings: versions, and the share of the zoo for each rule."""
    fires: dict[str, set[str]] = {}
    warns: dict[str, set[str]] = {}
    places: Counter[str] = Counter()
    for text in lines:
        name, code, severity, *_ = text.split(" ")
        fires.setdefault(code, set()).add(name)
        places[code] += 1
        if severity != "info":
            warns.setdefault(code, set()).add(name)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    rows = [f"# {models} models of {versions}", "# rule, models it fires on, warns on, findings"]
    for meta in sorted((one.rule.meta for one in active), key=lambda meta: meta.code):
        code = meta.code
        some, loud = len(fires.get(code, ())), len(warns.get(code, ()))
        rows.append(
            f"# {code} {meta.name}: {_share(some, models)}, {_share(loud, models)}, {places[code]}"
        )
    return rows


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / max(1, whole):.1f} %)"


def _kept(file: Path, names: set[str]) -> list[str]:
    """Return the lines of the file about other models than these."""
    if not file.exists():
        return []
    old = file.read_text(encoding="utf-8").splitlines()
    return [text for text in old if text[0] != "#" and text.split(" ")[0] not in names]


def main() -> int:
    """Lint the zoos named on the command line; write the corpus, or compare with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoos", nargs="*", default=["torchvision", "timm"])
    parser.add_argument("--match", default="*")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--file", type=Path, default=CORPUS, help="the corpus, if another")
    parser.add_argument("--full", type=Path, help="also write each finding with its words here")
    options = parser.parse_args()
    stubs.install()
    weights.skip_weights()
    active = _active()
    _warm_up(active)
    results = []
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(options.full.open("w")) if options.full else None
        for result in sweep(options.zoos, options.match, options.jobs, active):
            results.append(result)
            if result.words:
                print(f"  {result.name:45} {result.status:8} {result.words[:200]}", flush=True)
            if full is not None:
                full.writelines(_full(result))
                full.flush()
    return _finish(results, options, active)


def _warm_up(active: Active) -> None:
    """Import once what every child needs; what is edited from here on is not read."""
    entry = zoos.Entry("warm-up", lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    lint(entry, "none", active)
    gc.collect()
    gc.freeze()


def _full(result: Result) -> Iterator[str]:
    for text, finding in zip(result.lines, result.findings, strict=True):
        yield json.dumps({"model": result.name, "text": text, **finding}) + "\n"


def _finish(results: list[Result], options: argparse.Namespace, active: Active) -> int:
    status = Counter(result.status for result in results)
    print(
        f"{len(results)} models: " + ", ".join(f"{n} {word}" for word, n in status.most_common()),
        f"({sum(result.seconds for result in results):.0f} s)",
    )
    found = [text for result in results for text in result.lines]
    whole = options.match == "*" and not {"torchvision", "timm"} - set(options.zoos)
    kept = [] if whole else _kept(options.file, {result.name for result in results})
    total = sum(len(list(zoos.entries(zoo))) for zoo in ("torchvision", "timm"))
    rows = head([*kept, *found], total, ("torchvision", "timm"), active)
    print("\n".join(rows))
    new = [*rows, *sorted([*kept, *found], key=lambda text: [*text.split(" ")[:2], text])]
    if not options.check:
        options.file.write_text("".join(f"{text}\n" for text in new), encoding="utf-8")
        return 0
    old = options.file.read_text(encoding="utf-8").splitlines() if options.file.exists() else []
    changed = [text for text in difflib.ndiff(old, new) if text[0] in "+-"]
    print("\n".join(changed) or f"as {options.file.name} says")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
