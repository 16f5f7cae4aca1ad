"""Prints on which share of a zoo each rule fires, under each profile.

    python benchmarks/shares.py [torchvision timm] [--match PATTERN] [--profiles cpu arm] [--ram 4MiB]

A column a profile, "warns / fires" in percent of the models that were read, and at the end how
many models have a warning at all. A rule that warns on more than a fifth of the zoo under the
default profile is noise: then the exit code is 1. CL503 needs ``--ram``, which is no default.
``--file`` keeps the table. Each model is traced once, on meta tensors, in a process of its own, and
checked under each profile.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.metadata
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import corpus, guarded, zoos
from convlint import checking, gate, profiles
from convlint.contract import Severity
from convlint.settings import Settings, limits
from convlint.tracing import stubs, weights

NOISE = 20.0
Fired = frozenset[tuple[str, bool]]
"""Codes of rules that fired on a model, and whether as more than an info."""


@dataclass(slots=True)
class Column:
    """What one profile says about the models seen so far."""

    profile: profiles.Target
    active: tuple[checking.ActiveRule, ...]
    fires: Counter[str] = field(default_factory=Counter)
    warns: Counter[str] = field(default_factory=Counter)
    warned: int = 0

    def add(self, fired: Fired) -> None:
        """Count one model."""
        self.fires.update({code for code, _ in fired})
        self.warns.update({code for code, loud in fired if loud})
        self.warned += any(loud for _, loud in fired)


def column(name: str, ram: int) -> Column:
    """Return the empty column of a profile, its rules at their defaults under it."""
    target = msgspec.structs.replace(profiles.load(name), ram=ram)
    settings = Settings(Path(), profile=target, ram=ram)
    active = gate.active_rules(gate.known_rules(), settings)
    return Column(target, gate.graph_rules(active))


def fired(entry: zoos.Entry, columns: list[Column]) -> list[Fired]:
    """Return what fires on one model under each profile."""
    reply = corpus.reply(entry.name, entry)
    reports = [checking.check_model(reply, c.active, profile=c.profile) for c in columns]
    if any(report.status == "failed" for report in reports):
        raise RuntimeError(reports[0].diagnostics[-1].message)
    return [
        frozenset((f.code, f.severity is not Severity.INFO) for f in report.findings)
        for report in reports
    ]


def sweep(chosen: list[zoos.Entry], columns: list[Column], jobs: int) -> int:
    """Fill the columns, print the models that could not be read; return how many were."""
    done = 0

    def work(entry: zoos.Entry) -> tuple[list[Fired] | None, str]:
        return guarded.run(lambda: fired(entry, columns), corpus.SECONDS)

    with ThreadPoolExecutor(jobs) as pool:
        for entry, (answer, why) in zip(chosen, pool.map(work, chosen), strict=True):
            if answer is None:
                print(f"  {entry.name:45} {why[:200]}", flush=True)
                continue
            done += 1
            for each, seen in zip(columns, answer, strict=True):
                each.add(seen)
    return done


def table(columns: list[Column], models: int, packages: list[str]) -> list[str]:
    """Return the lines of the table."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    wide = [max(11, len(each.profile.name)) for each in columns]
    rules = {one.rule.meta.code: one.rule.meta.name for each in columns for one in each.active}
    rows = [
        f"# {models} models of {versions}: percent of them on which a rule warns / fires",
        _row("", [each.profile.name for each in columns], wide),
    ]
    for code, name in sorted(rules.items()):
        cells = [_cell(each.warns[code], each.fires[code], models) for each in columns]
        rows.append(_row(f"{code} {name}", cells, wide))
    some = [f"{100 * each.warned / max(1, models):.1f}" for each in columns]
    return [*rows, _row("any warning", some, wide)]


def _row(head: str, cells: list[str], wide: list[int]) -> str:
    return f"{head:36}" + "".join(f"{c:>{w + 2}}" for c, w in zip(cells, wide, strict=True))


def _cell(warns: int, fires: int, models: int) -> str:
    if not fires:
        return "-"
    return " / ".join(f"{100 * count / models:.1f}" for count in (warns, fires))


def noisy(columns: list[Column], models: int) -> list[str]:
    """Return the rules that warn on too many models under the default profile."""
    return [
        code
        for each in columns
        if each.profile.name == profiles.GENERIC.name
        for code, count in sorted(each.warns.items())
        if 100 * count > NOISE * models
    ]


def main() -> int:
    """Check the zoos named on the command line under the profiles named there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoos", nargs="*", default=["torchvision", "timm"])
    parser.add_argument("--match", default="*")
    parser.add_argument("--profiles", nargs="+", default=profiles.names(), metavar="NAME")
    parser.add_argument("--ram", help="what activations may take, for CL503")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--file", type=Path, help="also write the table here")
    options = parser.parse_args()
    stubs.install()
    weights.skip_weights()
    ram = limits.parse_bytes(options.ram, "--ram") if options.ram else 0
    columns = [column(name, ram) for name in options.profiles]
    found = [entry for zoo in options.zoos for entry in zoos.entries(zoo)]
    chosen = [entry for entry in found if fnmatch.fnmatch(entry.name, options.match)]
    models = sweep(chosen, columns, options.jobs)
    lines = table(columns, models, options.zoos)
    print("\n".join(lines))
    if options.file:
        options.file.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    loud = [] if ram else noisy(columns, models)
    if loud:
        print(f"noise: {', '.join(loud)} under {profiles.GENERIC.name}")
    return int(bool(loud) or models < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
