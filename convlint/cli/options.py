"""Flags that several commands share, and the settings they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from convlint import errors
from convlint.cli.types import Choice, words
from convlint.settings import FailLevel, Flags, Settings, load, parse_outputs, project_root

Command = TypeVar("Command", bound=Callable[..., Any])

_LIST = "Codes, names or beginnings of codes, by comma."


_SETTINGS = (
    click.option(
        "--select",
        multiple=True,
        metavar="RULES",
        help=f"Run only these, whatever pyproject.toml selects or ignores. {_LIST}",
    ),
    click.option("--extend-select", multiple=True, metavar="RULES", help="Run these too."),
    click.option("--ignore", multiple=True, metavar="RULES", help="Do not run these."),
    click.option(
        "--fail-level",
        type=Choice(FailLevel),
        help="Exit 1 from findings of this severity on (default: warning).",
    ),
    click.option(
        "--profile",
        metavar="NAME",
        help="The target whose thresholds count: a name or a .toml file (default: generic).",
    ),
    click.option(
        "--ram",
        metavar="SIZE",
        help='What activations may take at their peak, like "256KiB": CL503 tells what is over.',
    ),
    click.option(
        "--runtime",
        metavar="NAME",
        help="What will run the model (openvino, …): rules that it does itself are off.",
    ),
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Read [tool.convlint] from this file (default: the nearest pyproject.toml).",
    ),
)


_OUTPUTS = click.option(
    "--outputs",
    multiple=True,
    metavar="NAMES",
    help="The outputs that inference reads, keys or positions by comma (default: all).",
)


def outputs_option(command: Command) -> Command:
    """Add the flag that says which outputs are read."""
    return _OUTPUTS(command)


def outputs_of(flags: dict[str, Any]) -> tuple[str, ...]:
    """Return the outputs that are read, () for all; raise UsageError where the flag names none."""
    return parse_outputs(words(flags["outputs"]), "--outputs")


def settings_options(command: Command) -> Command:
    """Add the flags that settings are made of."""
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


def read_settings(targets: Sequence[str], flags: dict[str, Any]) -> Settings:
    """Return the settings for these targets; ``flags`` are those of settings_options."""
    from convlint.discover import split

    paths = [Path(split(target)[0]) for target in targets]
    places = list(dict.fromkeys(path for path in paths if path.exists()))
    chosen = Flags(
        select=words(flags["select"]),
        extend_select=words(flags["extend_select"]),
        ignore=words(flags["ignore"]),
        fail_level=flags["fail_level"],
        profile=flags["profile"],
        ram=flags.get("ram"),
        runtime=flags.get("runtime"),
    )
    return load(places, chosen, flags["config"])


def by_project(targets: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the targets in groups that have the same nearest configuration; one at least."""
    from convlint.discover import split

    groups: dict[Path, list[str]] = {}
    for target in targets:
        groups.setdefault(project_root(Path(split(target)[0])), []).append(target)
    return [tuple(group) for group in groups.values()] or [()]


def not_a_command(target: str, commands: Sequence[str]) -> None:
    """Raise UsageError where a target that is not there looks like a command."""
    if target.isidentifier() and not Path(target).exists():
        close = errors.suggest(target, commands)
        if close:
            fix = close.replace("did you mean ", "did you mean the command ")
            raise errors.UsageError("no such file, folder or command", where=target, fix=fix)
