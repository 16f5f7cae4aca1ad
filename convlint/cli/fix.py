"""``convlint fix``: edits the source where that alone cures a finding."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import click

from convlint.cli.options import outputs_of, outputs_option, read_settings, settings_options
from convlint.cli.types import Memory

if TYPE_CHECKING:
    from convlint.fixing import FileFix, ToDo
    from convlint.pipeline import Job
    from convlint.settings import Settings

_WITHOUT_BIAS = (
    "old checkpoints no longer load strictly: the keys of a removed bias are gone, and a norm's"
    " running_mean is to be lowered by it (convlint apply --save writes such a state_dict, and the"
    " old keys of each new one)"
)
_AS_BEFORE = "old checkpoints load as before"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--model", default="", metavar="EXPR", help="The model in the one file named.")
@click.option(
    "--input", "inputs", multiple=True, metavar="SHAPE", help="An input, like 1x3x224x224."
)
@click.option("--write", is_flag=True, help="Change the files (default: show the difference).")
@outputs_option
@settings_options
@click.option("--python", metavar="PATH", help="The interpreter that reads the models.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=120.0)
@click.option("--memory", type=Memory(), default="8GiB", help="What one model may take.")
@click.option("-v", "--verbose", count=True, help="Say more, with traces.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
def fix(**flags: Any) -> int:
    """Edit the source where an argument of one call cures a finding.

    Shows a difference; --write makes it, lints the file again, and puts the file back where the
    finding is still there. Lines that build several layers, and arguments that are no literals,
    are left and told.

    Exit code: 0; 1 where something is left to do by hand; 2 where it could not be done.
    """
    from convlint import pipeline
    from convlint.cli import output
    from convlint.fixing import plan

    settings = read_settings(flags["targets"], flags)
    job = _job(flags)
    run = pipeline.check(job, settings)
    output.Teller(verbose=flags["verbose"], quiet=flags["quiet"]).outcomes(run.outcomes)
    files = _files(run.outcomes)
    fixes, todo = plan([outcome.report for outcome in run.outcomes], files)
    for one in fixes:
        output.stdout(_difference(one))
    if flags["write"]:
        todo = (*todo, *_written(fixes, job, settings))
    for left in todo:
        output.stderr(_by_hand(left))
    if fixes and not flags["quiet"]:
        output.stderr(f"note: {_checkpoints(fixes)}")
        if not flags["write"]:
            output.stderr("nothing was written: run again with --write")
    if run.report.summary.exit_code == 2:
        return 2
    return 1 if todo else 0


def _job(flags: dict[str, Any]) -> Job:
    from convlint.pipeline import Job
    from convlint.sandbox import Limits
    from convlint.settings import parse_inputs

    return Job(
        targets=flags["targets"],
        model=flags["model"],
        inputs=parse_inputs(flags["inputs"]),
        outputs=outputs_of(flags),
        python=flags["python"],
        limits=Limits(flags["timeout"], flags["memory"], 0),
    )


def _checkpoints(fixes: tuple[FileFix, ...]) -> str:
    edits = [edit.name for one in fixes for finding in one.findings for edit in finding.fix]
    return _WITHOUT_BIAS if "bias" in edits else _AS_BEFORE


def _files(outcomes: Any) -> dict[str, Any]:
    """Return the absolute file of every path of the project that a report names."""
    from pathlib import Path

    found = {path: Path(file) for one in outcomes for path, file in one.sources.items()}
    return {path: file for path, file in found.items() if "site-packages" not in file.parts}


def _difference(one: FileFix) -> str:
    lines = difflib.unified_diff(
        one.before.splitlines(keepends=True),
        one.after.splitlines(keepends=True),
        f"a/{one.path}",
        f"b/{one.path}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _written(fixes: tuple[FileFix, ...], job: Job, settings: Settings) -> list[ToDo]:
    """Write the files and lint again; put back those whose findings are still there."""
    from convlint import pipeline
    from convlint.fixing import ToDo

    for one in fixes:
        one.file.write_text(one.after, encoding="utf-8", newline="")
    again = pipeline.check(job, settings)
    left = {
        (finding.code, module)
        for outcome in again.outcomes
        for finding in outcome.report.findings
        for module in finding.modules
    }
    failed = any(outcome.report.status == "failed" for outcome in again.outcomes)
    todo = []
    for one in fixes:
        still = [f for f in one.findings if any((f.code, m) in left for m in f.modules)]
        if still or failed:
            one.file.write_text(one.before, encoding="utf-8", newline="")
            why = "the edit did not cure it, and was taken back"
            todo += [ToDo(finding, why) for finding in one.findings]
    return todo


def _by_hand(left: ToDo) -> str:
    finding = left.finding
    where = f"{finding.location.path}:{finding.location.line}" if finding.location else "?"
    change = ", ".join(f"{edit.name}={edit.value}" for edit in finding.fix)
    what = f"{where}: {finding.code} {finding.name}: {left.why}; by hand: set {change}"
    are = "is" if len(finding.modules) == 1 else "are"
    return f"{what} where {', '.join(finding.module_groups)} {are} built"
