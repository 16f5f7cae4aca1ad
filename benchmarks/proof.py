"""Lints, rewrites and proves whole zoos.

    python benchmarks/proof.py torchvision timm [--match PATTERN] [--jobs 2] [--lines FILE]

Every model is linted with the exact rules. One with findings is built with random weights,
random running statistics and affines of both signs, rewritten with ``convlint.apply``, compared
with the original in float64, and counted again. Prints a line for every model with an exact
finding, and at the end: rewrites proven / found, models left out for their size, and the ten
largest savings. ``proven`` also means that the applied model costs what was promised. With
``--lines`` a sweep that was cut short goes on where it was. Each model runs in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fnmatch
import json
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import convlint
from benchmarks import guarded, zoos
from convlint import plugins
from convlint.tracing import build, inputs, stubs, weights

PARAMS, MACS, SECONDS = 150_000_000, 40_000_000_000, 600


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one model; ``rules`` counts the findings of each exact rule."""

    name: str
    status: str
    rules: dict[str, int] = dataclasses.field(default_factory=dict)
    found: int = 0
    proven: int = 0
    macs: int = 0
    saved_macs: int = 0
    saved_bytes_percent: float = 0.0
    difference: float = 0.0
    words: str = ""


def prove(entry: zoos.Entry) -> Result:
    """Return what came of one model."""
    exact = [rule.meta.code for rule in plugins.load_rules() if rule.meta.exact]
    empty = build.build(entry.make)
    given = entry.inputs("meta") if entry.inputs else ((), {})
    report = convlint.lint(empty, *given[0], kwargs=given[1], select=exact)
    if report.status == "failed":
        return Result(entry.name, "unread", words=report.diagnostics[-1].message)
    rules = Counter(finding.code for finding in report.findings)
    if not rules:
        return Result(entry.name, "nothing", macs=report.totals.macs)
    if report.totals.params > PARAMS or report.totals.macs > MACS:
        return Result(entry.name, "too large", dict(rules), macs=report.totals.macs)
    args, kwargs = entry.inputs("cpu") if entry.inputs else inputs.make(report.inputs, "cpu")
    return _apply(entry, args, kwargs, exact, rules)


def _apply(
    entry: zoos.Entry, args: Any, kwargs: Any, exact: list[str], rules: Counter[str]
) -> Result:
    model = entry.make().eval()
    randomise(model)
    made = convlint.apply(model, *args, kwargs=kwargs, rules=exact)
    report = made.report
    from convlint.tracing.tensors import tensors_in

    again = convlint.lint(made.module, *tensors_in((args, kwargs)), select=exact).totals
    promised = report.after.exact
    kept = (again.macs, again.params) == (promised.macs, promised.params)
    proven = len(made.changes) if made.largest_difference is not None and kept else 0
    moved = [t.activation_bytes + t.bytes_read for t in (report.totals, promised)]
    words = "; ".join((*made.refused, made.note))
    if not kept:
        words += f"; promised {promised.macs} MACs, {promised.params} params; has {again.macs}, {again.params}"
    return Result(
        entry.name,
        "proven" if proven and not made.refused else "not proven",
        dict(rules),
        len(made.changes) + len(made.refused),
        proven,
        report.totals.macs,
        report.totals.macs - promised.macs,
        100 * (1 - moved[1] / max(1, moved[0])),
        made.largest_difference or 0.0,
        words.strip("; "),
    )


def randomise(model: nn.Module) -> None:
    """Give norms random statistics and affines of both signs, and constant vectors content."""
    generator = torch.Generator().manual_seed(0)

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))

    def signed(tensor: torch.Tensor) -> None:
        sign = torch.where(torch.rand(tensor.shape, generator=generator) < 0.5, -1.0, 1.0)
        tensor.copy_(sign * (0.5 + torch.rand(tensor.shape, generator=generator)))

    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if name.endswith("running_var"):
                uniform(tensor, 0.5, 2.0)
            elif name.endswith("running_mean"):
                uniform(tensor, -0.5, 0.5)
            elif isinstance(tensor, nn.Parameter) and _is_constant(tensor):
                signed(tensor)


def _is_constant(tensor: torch.Tensor) -> bool:
    flat = tensor.flatten()
    return tensor.is_floating_point() and bool(flat.numel()) and bool((flat == flat[0]).all())


def _guarded(entry: zoos.Entry) -> Result:
    """Prove a model in a forked child, within its time."""
    answer, why = guarded.run(lambda: prove(entry), SECONDS)
    return answer or Result(entry.name, "failed", words=why)


def sweep(chosen: list[zoos.Entry], jobs: int) -> Iterator[Result]:
    """Yield the results of models, in order, printing those that say something."""
    with ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(_guarded, chosen):
            if result.status != "nothing":
                print(_line(result), flush=True)
            yield result


def known(file: Path | None) -> list[Result]:
    """Return the results that a sweep before this one has written."""
    if file is None or not file.exists():
        return []
    return [Result(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def _line(result: Result) -> str:
    rules = " ".join(f"{code}x{count}" for code, count in sorted(result.rules.items()))
    saved = 100 * result.saved_macs / result.macs if result.macs else 0.0
    return (
        f"  {result.name:46} {result.status:10} {result.proven:3}/{result.found:<3}"
        f" MACs -{saved:5.2f} % bytes -{result.saved_bytes_percent:5.2f} %"
        f" {result.difference:.0e} {rules} {result.words[:300]}"
    )


def summary(results: list[Result]) -> str:
    """Return the last lines."""
    tried = [r for r in results if r.found]
    status = Counter(result.status for result in results)
    lines = [
        f"models {len(results)}: " + ", ".join(f"{n} {s}" for s, n in status.most_common()),
        f"rewrites proven / found: {sum(r.proven for r in tried)} / {sum(r.found for r in tried)}",
        "rules: "
        + ", ".join(
            f"{code} in {count}"
            for code, count in sorted(Counter(code for r in results for code in r.rules).items())
        ),
        "largest savings of MACs:",
    ]
    for r in sorted(tried, key=lambda r: -r.saved_macs / max(1, r.macs))[:10]:
        lines.append(
            f"  {r.name:46} {r.macs / 1e9:7.3f} GMACs -{100 * r.saved_macs / r.macs:.1f} %"
        )
    return "\n".join(lines)


def main() -> int:
    """Prove the zoos named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoos", nargs="+", choices=zoos.ZOOS)
    parser.add_argument("--match", default="*")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--lines", type=Path, help="keep one JSON line a model here")
    options = parser.parse_args()
    stubs.install()
    weights.skip_weights()
    results = known(options.lines)
    done = {result.name for result in results}
    chosen = [
        dataclasses.replace(entry, name=f"{zoo}/{entry.name}")
        for zoo in options.zoos
        for entry in zoos.entries(zoo)
        if fnmatch.fnmatch(entry.name, options.match) and f"{zoo}/{entry.name}" not in done
    ]
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(options.lines.open("a")) if options.lines else None
        for result in sweep(chosen, options.jobs):
            results.append(result)
            if file is not None:
                print(json.dumps(dataclasses.asdict(result)), file=file, flush=True)
    print(summary(results))
    return int(any(r.status in ("failed", "not proven") for r in results))


if __name__ == "__main__":
    sys.exit(main())
