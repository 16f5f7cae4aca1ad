"""``convlint init``: a configuration made of what the models are today."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convlint import errors
from convlint.cli.options import read_settings, settings_options
from convlint.cli.types import Memory

if TYPE_CHECKING:
    from convlint.gate import Outcome
    from convlint.pipeline import Job, Run
    from convlint.settings import Settings
    from convlint.settings.write import Declared

BASELINE = "convlint-baseline.json"
FILE = "pyproject.toml"
LIMITED = ("macs", "params", "peak-activation-bytes")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@settings_options
@click.option("--tighten", is_flag=True, help="Lower the limits of models that got better.")
@click.option("--jobs", type=click.IntRange(min=0), default=0, help="Models read at once.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=120.0)
@click.option("--memory", type=Memory(), default="8GiB", help="What one model may take.")
@click.option("--python", metavar="PATH", help="The interpreter that reads the models.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
def init(**flags: Any) -> int:
    """Write a configuration and a baseline of what the models are today.

    Every model that can be read is declared in pyproject.toml with limits at its present MACs,
    params and peak of activations; what is found in it goes into the baseline. From then on
    `convlint` says 1 only for what gets worse. Without a TARGET all models below are taken.

    With --tighten the limits in pyproject.toml are lowered to what the models are now, where that
    is less; none is ever raised.

    Exit code: 0; 1 where a limit is broken already; 2 where a model could not be read.
    """
    from convlint import pipeline
    from convlint.cli import output

    settings = read_settings(flags["targets"], flags)
    teller = output.Teller(quiet=flags["quiet"])
    file = settings.root / FILE
    if flags["tighten"]:
        run = pipeline.check(_job(flags, ()), settings, teller.reply)
        teller.outcomes(run.outcomes)
        for line in _tighten(file, run, settings):
            output.stdout(line)
        return run.report.summary.exit_code
    _require_none(file)
    targets = flags["targets"] or (str(settings.root),)
    run = pipeline.check(_job(flags, targets), settings, teller.reply)
    teller.outcomes(run.outcomes)
    declared = _declared(run.outcomes)
    if not declared:
        raise errors.UsageError("no model could be read", fix="name one: file.py:EXPR")
    for line in _write(file, declared, flags):
        output.stdout(line)
    left = [o.report.target for o in run.outcomes if o.report.status != "complete"]
    if left:
        output.stdout(f"not declared, since not read in full: {', '.join(left)}")
    return 2 if run.report.summary.exit_code == 2 else 0


def _require_none(file: Path) -> None:
    """Raise ConfigError before anything runs where there is a table already."""
    from convlint.settings.write import appended

    appended(_text(file), (), BASELINE, FILE)


def _job(flags: dict[str, Any], targets: Sequence[str]) -> Job:
    from convlint.pipeline import Job
    from convlint.sandbox import Limits

    limits = Limits(flags["timeout"], flags["memory"], flags["jobs"])
    return Job(targets=tuple(targets), python=flags["python"], limits=limits)


def _declared(outcomes: Sequence[Outcome]) -> tuple[Declared, ...]:
    """Return what to write of each model that was read in full."""
    from convlint.settings.write import Declared, exactly, shape_text

    found: dict[str, Declared] = {}
    for outcome in outcomes:
        report = outcome.report
        if report.status != "complete":
            continue
        place, _, name = report.target.partition(":")
        expression = (report.expression or name).removesuffix("()")
        shapes = [shape_text(spec) for spec in report.inputs]
        totals = {key: getattr(report.totals, key.replace("-", "_")) for key in LIMITED}
        texts = {
            f"max-{key}": exactly(key.replace("-", "_"), value) for key, value in totals.items()
        }
        target = f"{place}:{expression}"
        inputs = tuple(shape for shape in shapes if shape is not None)
        found[target] = Declared(target, inputs if len(inputs) == len(shapes) else (), texts)
    return tuple(found.values())


def _write(file: Path, declared: Sequence[Declared], flags: dict[str, Any]) -> list[str]:
    """Write configuration and baseline; return what was done."""
    from convlint import pipeline
    from convlint.cli import baselines
    from convlint.settings.write import appended

    baseline = file.parent / BASELINE
    if baseline.exists():
        fix = "take it away, or write [tool.convlint] by hand"
        raise errors.UsageError("is there already", where=BASELINE, fix=fix)
    before = _text(file)
    _save(file, appended(before, declared, BASELINE, FILE))
    try:
        settings = read_settings([str(file.parent)], flags)
        run = pipeline.check(replace(_job(flags, ()), accept=True), settings)
        chosen = baselines.Plan(write=Path(os.path.relpath(baseline)))
        told = baselines.finish(chosen, run)
    except BaseException:
        _restore(file, before)
        raise
    count = len(declared)
    models = "1 model" if count == 1 else f"{count} models"
    return [f"{FILE}: {models} declared, with limits at the present values", told]


def _tighten(file: Path, run: Run, settings: Settings) -> list[str]:
    """Lower the limits that the models keep with room; return what was done."""
    from convlint.gate.amounts import amount
    from convlint.settings.write import exactly, lowered

    changes: dict[tuple[int, str], str] = {}
    lines = []
    for place, entry in enumerate(settings.models):
        keys = [limit.key for limit in entry.limits]
        for limit in entry.limits:
            values = _values(run.outcomes, limit)
            if limit.increase or keys.count(limit.key) > 1 or not values:
                continue
            value = max(values)
            if value < limit.most():
                changes[place, limit.key] = exactly(limit.quantity, value)
                now = amount(limit.quantity, value)
                lines.append(f"{entry.target}: {limit.key} {limit.text} -> {now}")
    if changes:
        _save(file, lowered(_text(file), changes, FILE))
    return lines or ["no limit can be lowered"]


def _values(outcomes: Sequence[Outcome], limit: Any) -> list[int]:
    """Return what the models of a limit have; nothing where one was not read in full."""
    mine = [outcome for outcome in outcomes if any(one is limit for one in outcome.limits)]
    if any(outcome.report.status != "complete" for outcome in mine):
        return []
    return [int(getattr(outcome.report.totals, limit.quantity)) for outcome in mine]


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode() if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigError(f"cannot be read: {error}", where=FILE) from None


def _save(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise errors.UsageError(f"cannot be written: {error.strerror}", where=FILE) from None


def _restore(file: Path, before: str) -> None:
    if before:
        _save(file, before)
    else:
        file.unlink(missing_ok=True)
