"""``convlint report``: renders JSON reports again, several as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convlint import errors

if TYPE_CHECKING:
    from convlint.contract import RunReport


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", "format_", default="text", metavar="NAME", help="The report on stdout.")
@click.option(
    "--report", "reports", multiple=True, metavar="NAME=PATH", help="Write a report. Repeatable."
)
@click.option("--link-base", default="", metavar="URL", help='What stands before "path#L12".')
@click.option(
    "--prefix", default="", metavar="FOLDER", help="The way from the repository to the project."
)
@click.option("-v", "--verbose", count=True, help="Say more.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
def report(**flags: Any) -> int:
    """Render JSON reports in another format; several are merged, as of parts of one run.

    No model is built: a report is read as data.

    Exit code: that of the runs, the worst of them.
    """
    from convlint import gate
    from convlint.cli import output, reports

    shown = reports.plan(flags["format_"], flags["reports"])
    run = merged([gate.read_report(Path(file), file) for file in flags["files"]])
    teller = output.Teller(verbose=flags["verbose"], quiet=flags["quiet"])
    prefix = f"{flags['prefix'].strip('/')}/" if flags["prefix"].strip("/") else ""
    for path in reports.write(shown, run, flags["link_base"], prefix):
        teller.written(path)
    view = replace(teller.view(), link_base=flags["link_base"], prefix=prefix)
    output.stdout(shown.format.render(run, view))
    return run.summary.exit_code


def merged(runs: Sequence[RunReport]) -> RunReport:
    """Return one report of all models; raise UsageError where two hold the same model."""
    import msgspec

    from convlint.contract import Summary

    first = runs[0]
    if len(runs) == 1:
        return first
    models = tuple(model for run in runs for model in run.models)
    targets = [model.target for model in models]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise errors.UsageError("is in two of the reports", where=twice, fix="leave one out")
    counts = {
        name: sum(getattr(run.summary, name) for run in runs) for name in Summary.__struct_fields__
    }
    counts["exit_code"] = max(run.summary.exit_code for run in runs)
    rules = {rule.code: rule for run in reversed(runs) for rule in run.rules}
    return msgspec.structs.replace(
        first,
        models=models,
        summary=Summary(**counts),
        rules=tuple(rules[code] for code in sorted(rules)),
    )
