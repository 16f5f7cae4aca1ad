"""``convlint check``: the command that is meant where none is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from convlint import __version__
from convlint.cli.baselines import baseline_options
from convlint.cli.caching import cache_options, given_to
from convlint.cli.options import (
    by_project,
    not_a_command,
    outputs_of,
    outputs_option,
    read_settings,
    settings_options,
)
from convlint.cli.types import Memory, Shard

if TYPE_CHECKING:
    from convlint.cli.output import Teller
    from convlint.cli.reports import Plan
    from convlint.pipeline import Job, Run
    from convlint.settings import Settings
    from convlint.wire import Reply

DEFAULT_FORMAT = "text"


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
@outputs_option
@settings_options
@baseline_options
@click.option(
    "--base",
    metavar="REF",
    help="Compare with this git revision: what it has too is known, only new findings count.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 in spite of findings.")
@click.option(
    "--format", "format_", default=DEFAULT_FORMAT, metavar="NAME", help="The report on stdout."
)
@click.option(
    "--report", "reports", multiple=True, metavar="NAME=PATH", help="Write a report. Repeatable."
)
@click.option(
    "--link-base",
    default="",
    metavar="URL",
    help="What reports link lines of code to: URL/path#L12.",
)
@click.option(
    "--jobs", type=click.IntRange(min=0), default=0, help="Models read at once (0: all cores)."
)
@click.option(
    "--shard", type=Shard(), metavar="K/N", help="Only the K-th of N parts of the models."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="The time one model may take.",
)
@click.option(
    "--memory", type=Memory(), default="8GiB", show_default=True, help="What one model may take."
)
@cache_options
@click.option("--python", metavar="PATH", help="The interpreter that reads the models.")
@click.option("--strict", is_flag=True, help="Exit 2 for every model that could not be checked.")
@click.option("--hook", is_flag=True, help="Skip files without a model that can be built.")
@click.option("--force-exclude", is_flag=True, help="Leave out excluded files even when named.")
@click.option("--watch", is_flag=True, help="Check again after every saved change, until Ctrl-C.")
@click.option("-v", "--verbose", count=True, help="Say more, with traces.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
@click.version_option(__version__, prog_name="convlint")
@click.pass_context
def check(ctx: click.Context, /, **flags: Any) -> int:
    """Check the models in files, folders or expressions.

    A TARGET is a file, a folder, file.py:EXPR or package.module:EXPR. Without one, the models
    declared in pyproject.toml are checked.

    Exit code: 0 nothing new, 1 new findings or a broken limit, 2 something asked for could not be
    done.
    """
    from convlint.cli import reports

    commands = list(ctx.parent.command.commands) if ctx.parent else []  # type: ignore[attr-defined]
    for target in flags["targets"][:1]:
        not_a_command(target, commands)
    shown = reports.plan(flags["format_"], flags["reports"])
    if flags["watch"]:
        return _watch(ctx, shown, flags)
    if flags["hook"] and not flags["reports"]:  # a commit may touch several projects
        groups = by_project(flags["targets"])
        code = max(_check(ctx, shown, {**flags, "targets": group}) for group in groups)
    else:
        code = _check(ctx, shown, flags)
    given_to(ctx).finish()
    return code


def _watch(ctx: click.Context, shown: Plan, flags: dict[str, Any]) -> int:
    """Check after every change; return the exit code of Ctrl-C."""
    from convlint.cli import watching
    from convlint.settings.python import interpreter

    root = read_settings(flags["targets"], flags).root
    python = interpreter(root, flags["python"])
    limits = _job(flags).limits
    return watching.loop(given_to(ctx), python, limits, partial(_check, ctx, shown, flags))


def _check(ctx: click.Context, shown: Plan, flags: dict[str, Any]) -> int:
    """Check targets that are configured together; print the report and return the exit code."""
    from convlint.cli import baselines, caching, output, reports
    from convlint.timing import Stopwatch

    settings = read_settings(flags["targets"], flags)
    known = baselines.plan(flags, settings)
    job = known.into(_job(flags), strict=flags["strict_baseline"])
    _require_targets(job, bool(settings.models))
    given, folder = given_to(ctx), caching.folder_of(flags, settings.root)
    job = replace(job, server=given.server, meanwhile=caching.idle(given, shown), cache=folder)
    job = replace(job, box=given.box, stopwatch=Stopwatch() if flags["verbose"] else None)
    teller = output.Teller(verbose=flags["verbose"], quiet=flags["quiet"], hear=given.hear)
    prefix = reports.prefix_of(settings.root)
    view = replace(teller.view(), link_base=flags["link_base"], prefix=prefix)
    second = reports.beside(shown)
    with output.no_commands(active=second is not None):
        run = _run(job, flags["base"], settings, teller)
        teller.outcomes(run.outcomes)
        teller.times(job.stopwatch)
        teller.said(baselines.finish(known, run))
        teller.said(caching.close(given, folder, run))
        for path in reports.write(shown, run.report, flags["link_base"], prefix):
            teller.written(path)
        if second is not None:
            output.stderr(second.render(run.report, view).rstrip("\n"))
    if run.outcomes or not (job.hook and shown.format.name == DEFAULT_FORMAT):
        output.stdout(shown.format.render(run.report, view))
    if run.interrupted:
        raise KeyboardInterrupt
    return run.report.summary.exit_code


def _run(job: Job, base: str | None, settings: Settings, teller: Teller) -> Run:
    """Return the finished run, against a base where one is named."""
    from convlint import comparing, pipeline
    from convlint.cli import progress

    with progress.bar(quiet=teller.quiet) as bar:
        job = replace(job, expecting=bar.expect)
        told = partial(_tell, (bar.hear, teller.hear, teller.reply))
        if base is None:
            return pipeline.check(job, settings, told)
        return comparing.check_against(base, job, settings, told)


def _tell(listeners: tuple[Callable[[Reply], None], ...], reply: Reply) -> None:
    for listener in listeners:
        listener(reply)


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
        limits=Limits(flags["timeout"], flags["memory"], flags["jobs"]),
        force_exclude=flags["force_exclude"],
        hook=flags["hook"],
        strict=flags["strict"],
        exit_zero=flags["exit_zero"],
        shard=flags["shard"] or (1, 1),
    )


def _require_targets(job: Job, declared: bool) -> None:
    from convlint import errors

    if not job.targets and not declared:
        raise errors.UsageError(
            "nothing to check: no target, and pyproject.toml declares no models",
            fix="name a file, a folder or file.py:EXPR",
        )
