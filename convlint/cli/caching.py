"""The flags about the cache, and what a command tells it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from convlint.cache import store
from convlint.cli.given import Given

if TYPE_CHECKING:
    from convlint.cli.reports import Plan
    from convlint.pipeline import Run

Command = TypeVar("Command", bound=Callable[..., Any])


def cache_options(command: Command) -> Command:
    """Add the flags about the cache."""
    command = click.option(
        "--cache-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help=f"Where what was read is kept (default: {store.NAME} beside pyproject.toml).",
    )(command)
    return click.option("--no-cache", is_flag=True, help="Read every model anew; keep nothing.")(
        command
    )


def given_to(ctx: click.Context) -> Given:
    """Return what the process did before the command."""
    found = ctx.find_root().obj
    return found if isinstance(found, Given) else Given()


def folder_of(flags: dict[str, Any], root: Path) -> Path | None:
    """Return the folder of the cache, absolute; None where there is to be none."""
    if flags["no_cache"]:
        return None
    chosen: Path | None = flags["cache_dir"]
    return chosen.absolute() if chosen is not None else root / store.NAME


def idle(given: Given, shown: Plan) -> Callable[[], None]:
    """Return what loads and stamps all that will be needed, while the child is at work."""
    return partial(_prepare, given, shown)


def _prepare(given: Given, shown: Plan) -> None:
    from convlint.cli import reports

    reports.warm_up(shown)
    if given.record is not None:
        given.record.prepare()


def close(given: Given, folder: Path | None, run: Run) -> str:
    """Tell the record what the run was made of; return a warning about the cache, or ""."""
    if folder is None or run.replies is None:
        return ""
    if given.record is not None:
        given.record.add(str(folder), run.replies)
    if run.replies.trouble:
        return f"warning: the cache cannot be written: {run.replies.trouble}; {store.ADVICE}"
    store.prune(str(folder))
    return ""
