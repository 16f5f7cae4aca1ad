"""The flags about the baseline: which file is read, written or pruned."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from convlint import errors

if TYPE_CHECKING:
    from convlint.gate import Baseline, Entry
    from convlint.pipeline import Job, Run
    from convlint.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
MOST_NAMED = 3


def baseline_options(command: Command) -> Command:
    """Add the flags about the baseline."""
    path = click.Path(path_type=Path)
    for option in reversed(
        (
            click.option(
                "--baseline",
                type=path,
                metavar="FILE",
                help="Findings in this file are known and do not count.",
            ),
            click.option(
                "--write-baseline",
                type=path,
                metavar="FILE",
                help="Write the findings of this run to a baseline: from now on they are known.",
            ),
            click.option(
                "--prune-baseline",
                is_flag=True,
                help="Drop entries of the baseline that nothing matches any more.",
            ),
            click.option(
                "--strict-baseline",
                is_flag=True,
                help="Exit 1 where the baseline has entries that nothing matches any more.",
            ),
        )
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Plan:
    """Which baseline is read, and which file is to be written after the run, if any."""

    baseline: Baseline | None = None
    write: Path | None = None
    prune: bool = False

    def into(self, job: Job, *, strict: bool) -> Job:
        """Return the job with the baseline."""
        accept = self.write is not None and not self.prune
        return replace(job, baseline=self.baseline, accept=accept, strict_baseline=strict)


def plan(flags: dict[str, Any], settings: Settings) -> Plan:
    """Return what the flags ask for; raise ConvlintError before anything runs."""
    from convlint import gate

    written: Path | None = flags["write_baseline"]
    path: Path | None = flags["baseline"] or settings.baseline
    if written is not None:
        _require_place(written, prune=flags["prune_baseline"])
        return Plan(_previous(written, settings.root), written)
    if path is None:
        if flags["prune_baseline"] or flags["strict_baseline"]:
            flag = "--prune-baseline" if flags["prune_baseline"] else "--strict-baseline"
            fix = "give --baseline FILE, or set baseline in pyproject.toml"
            raise errors.UsageError("there is no baseline", where=flag, fix=fix)
        return Plan()
    found = gate.read_baseline(path, _shown(path, settings.root))
    if flags["prune_baseline"]:
        if flags.get("base"):
            raise errors.UsageError("goes without --base", where="--prune-baseline")
        return Plan(found, path, prune=True)
    return Plan(found)


def finish(chosen: Plan, run: Run) -> str:
    """Write the file that was asked for; return what to say about the baseline, "" for nothing."""
    if chosen.write is not None and not run.interrupted:
        return _write(chosen.write, run)
    if run.stale and chosen.baseline is not None:
        names = _names(run.stale)
        fix = "the same command with --prune-baseline drops them"
        return f"warning: {chosen.baseline.shown}: {names} no longer found; {fix}"
    return ""


def _write(path: Path, run: Run) -> str:
    from convlint import gate
    from convlint.gate.baseline import KNOWN, entry_of

    entries = [
        entry_of(outcome.report.target, finding)
        for outcome in run.outcomes
        for finding in outcome.report.findings
        if finding.suppressed is None and finding.baseline == KNOWN
    ]
    text = gate.render((*entries, *run.kept))
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        what = f"the baseline cannot be written: {error.strerror}"
        raise errors.UsageError(what, where=str(path)) from None
    count = len(entries) + len(run.kept)
    word = "entry" if count == 1 else "entries"
    dropped = f", {len(run.stale)} dropped" if run.stale else ""
    return f"baseline written to {path}: {count} {word}{dropped}"


def _names(entries: tuple[Entry, ...]) -> str:
    told = [f"{entry.code} {entry.model}" for entry in entries[:MOST_NAMED]]
    more = len(entries) - len(told)
    listed = f"({', '.join(told)}{f' and {more} more' if more else ''})"
    return f"1 entry {listed} is" if len(entries) == 1 else f"{len(entries)} entries {listed} are"


def _require_place(path: Path, *, prune: bool) -> None:
    flag = f"--write-baseline {path}"
    if prune:
        raise errors.UsageError("goes without --prune-baseline", where=flag)
    if path.is_dir():
        raise errors.UsageError("is a folder", where=flag, fix="name a file in it")
    if not path.parent.is_dir():
        what = f"there is no folder {path.parent}"
        raise errors.UsageError(what, where=flag, fix="make it first")


def _previous(path: Path, root: Path) -> Baseline:
    """Return what the file holds now: entries of models that this run does not read stay.

    A file that cannot be read as a baseline is written anew.
    """
    from convlint import gate

    shown = _shown(path, root)
    if not path.exists():
        return gate.Baseline(shown)
    try:
        return gate.read_baseline(path, shown)
    except errors.ConfigError as error:
        if path.suffix == ".json" and "merge conflict" in error.what:
            return gate.Baseline(shown)
        fix = "name another file, or take this one away"
        raise errors.UsageError(
            "is no baseline, and is not written over", where=str(path), fix=fix
        ) from None


def _shown(path: Path, root: Path) -> str:
    """Return how reports call the file: relative to the root, by its name alone outside it."""
    absolute = path.resolve()
    inside = absolute.is_relative_to(root.resolve())
    return absolute.relative_to(root.resolve()).as_posix() if inside else path.name
