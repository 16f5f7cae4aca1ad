"""``convlint cost``: what a model costs, layer by layer, or several models side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from convlint.cli.options import read_settings
from convlint.cli.types import Memory
from convlint.costs import RIDGE

if TYPE_CHECKING:
    from convlint.cli.output import Teller
    from convlint.contract import ReportFormat
    from convlint.costing import Asked
    from convlint.costs import CostReport
    from convlint.pipeline import Job, Run
    from convlint.settings import Settings
    from convlint.wire import Reply

TOOLS = ("fvcore", "thop", "ptflops", "torchinfo", "deepspeed")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, metavar="TARGET...")
@click.option("--model", default="", metavar="EXPR", help="The model in the one file named.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="SHAPE",
    help="An input, like 1x3x224x224, 1x128:int64 or mask=1x1x64x64. Repeatable.",
)
@click.option(
    "--by",
    type=click.Choice(["node", "module", "kind", "line"]),
    default="node",
    help="What a row is (default: one operation).",
)
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Parts of a path to keep.")
@click.option("--sort", default="", metavar="COLUMN", help="macs, params, bytes_moved, module, …")
@click.option("--full", is_flag=True, help="Show every repeated block.")
@click.option(
    "--as", "tool", type=click.Choice(TOOLS), help="What this tool would say, and why it differs."
)
@click.option(
    "--ridge",
    type=click.FloatRange(min=0, min_open=True),
    default=RIDGE,
    show_default=True,
    metavar="MACS",
    help="MACs a byte under which memory traffic bounds a layer.",
)
@click.option("--time", "timed", is_flag=True, help="Also time a call of each, eager, 1 thread.")
@click.option("--format", "format_", default="text", metavar="NAME", help="The table on stdout.")
@click.option("--config", type=click.Path(), metavar="FILE", help="Read [tool.convlint] from here.")
@click.option("--python", metavar="PATH", help="The interpreter that reads the models.")
@click.option("--jobs", type=click.IntRange(min=0), default=0, help="Models read at once.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=120.0)
@click.option("--memory", type=Memory(), default="8GiB", help="What one model may take.")
@click.option("-v", "--verbose", count=True, help="Say more, with traces.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
def cost(**flags: Any) -> int:
    """Show what models cost: MACs, parameters, bytes moved, peak memory, by layer.

    One TARGET gives the table of its layers; several are set side by side. Targets and inputs
    are those of `convlint check`.

    Exit code: 0, or 2 where something asked for could not be done.
    """
    from convlint import pipeline
    from convlint.cli import output

    form = _format(flags["format_"])
    asked = _asked(flags)
    settings = _settings(flags)
    _require_targets(flags["targets"], settings)
    teller = output.Teller(verbose=flags["verbose"], quiet=flags["quiet"])
    heard: list[Reply] = []

    def listen(reply: Reply) -> None:
        heard.append(reply)
        teller.reply(reply)

    run = pipeline.check(_job(flags), settings, listen)
    teller.outcomes(run.outcomes)
    assert form.costs is not None
    report = _report(run, heard, asked)
    if flags["timed"]:
        report = _with_times(report, flags, settings, teller)
    output.stdout(form.costs(report, teller.view()))
    return 2 if run.report.summary.exit_code == 2 else 0


def _format(name: str) -> ReportFormat:
    from convlint import errors, plugins

    known = {form.name: form for form in plugins.load_reports() if form.costs is not None}
    if name in known:
        return known[name]
    fix = errors.suggest(name, known) or f"one of {', '.join(known)}"
    raise errors.UsageError(f"no cost table in format {name!r}", where="--format", fix=fix)


def _asked(flags: dict[str, Any]) -> Asked:
    from convlint import errors
    from convlint.costing import COLUMNS, Asked

    sort = flags["sort"].replace("-", "_")
    if sort and sort not in COLUMNS:
        fix = errors.suggest(sort, COLUMNS) or f"one of {', '.join(COLUMNS)}"
        raise errors.UsageError(f"no column {flags['sort']!r}", where="--sort", fix=fix)
    return Asked(
        by=flags["by"],
        depth=flags["depth"],
        fold=not flags["full"],
        sort=sort,
        peer=flags["tool"] or "",
        ridge=flags["ridge"],
    )


def _settings(flags: dict[str, Any]) -> Settings:
    """Return the settings without any rule: a cost table judges nothing."""
    from pathlib import Path

    config = Path(flags["config"]) if flags["config"] else None
    none = {"select": (), "extend_select": (), "ignore": (), "fail_level": None, "profile": None}
    settings = read_settings(flags["targets"], {**none, "config": config})
    return replace(settings, select=(), extend_select=())


def _job(flags: dict[str, Any]) -> Job:
    from convlint.pipeline import Job
    from convlint.sandbox import Limits
    from convlint.settings import parse_inputs

    return Job(
        targets=flags["targets"],
        model=flags["model"],
        inputs=parse_inputs(flags["inputs"]),
        python=flags["python"],
        limits=Limits(flags["timeout"], flags["memory"], flags["jobs"]),
    )


def _report(run: Run, heard: list[Reply], asked: Asked) -> CostReport:
    from convlint.costing import costs_of
    from convlint.costs import CostReport

    replies = {(reply.target, reply.expression): reply for reply in heard}
    reports = [outcome.report for outcome in run.outcomes]
    found = [costs_of(one, replies.get((one.target, one.expression)), asked) for one in reports]
    plain = asked == replace(asked, by="node", depth=None, sort="", peer="")
    return CostReport(
        tool=run.report.tool,
        models=tuple(found),
        grouping=asked.by,
        ridge=asked.ridge,
        tables=len(found) == 1 or not plain,
    )


def _with_times(
    report: CostReport, flags: dict[str, Any], settings: Settings, teller: Teller
) -> CostReport:
    """Return the report with the median time of a call of each model, called in turn."""
    import msgspec

    from convlint import workbench
    from convlint.sandbox import Limits
    from convlint.settings import parse_inputs
    from convlint.work import Timing

    task = workbench.Task(
        targets=flags["targets"],
        model=flags["model"],
        inputs=parse_inputs(flags["inputs"]),
        timing=Timing(seconds=3.0 * len(flags["targets"])),
        python=flags["python"],
        limits=Limits(flags["timeout"] * 5, flags["memory"]),
        plain=True,
    )
    reply = workbench.work(task, settings)
    if reply.failure is not None or len(reply.timed) != len(report.models):
        teller.word(f"no times: {reply.failure.message if reply.failure else reply.skipped}")
        return report
    models = tuple(
        msgspec.structs.replace(model, nanoseconds=round(row.seconds * 1e9))
        for model, row in zip(report.models, reply.timed, strict=True)
    )
    return msgspec.structs.replace(report, models=models, timed_on=reply.machine)


def _require_targets(targets: tuple[str, ...], settings: Settings) -> None:
    from convlint import errors

    if not targets and not settings.models:
        raise errors.UsageError(
            "nothing to count: no target, and pyproject.toml declares no models",
            fix="name a file, a folder or file.py:EXPR",
        )
