"""``convlint check --watch``: the same check after every saved change, by a warm process."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from convlint import errors
from convlint.cli.ending import INTERRUPTED
from convlint.cli.given import Given
from convlint.cli.output import stderr
from convlint.sandbox import Limits, Sandbox


def loop(given: Given, python: str | None, limits: Limits, check: Callable[[], int]) -> int:
    """Run ``check`` now and after every change, until Ctrl-C; return the exit code of that.

    ``given`` gets the process that reads the models: it keeps torch and forks for every change.
    """
    with Sandbox(python, limits, server=given.server) as box:
        given.box = box
        with contextlib.suppress(KeyboardInterrupt):
            _until_interrupted(given, check)
    return INTERRUPTED


def _until_interrupted(given: Given, check: Callable[[], int]) -> None:
    try:
        from convlint.watching import Waiter
    except ModuleNotFoundError as error:
        what = f"{error.name} is not installed"
        raise errors.UsageError(what, where="--watch", fix="pip install watchfiles") from None

    waiter: Waiter | None = None
    while True:
        started = time.time()
        _checked(given, check)
        files = given.watched()
        if waiter is None or waiter.files != files:
            waiter = Waiter(files)
            if _is_newer(files, started):  # saved while nobody listened
                continue
        count = len(waiter.folders)
        stderr(f"watching {count} folder{'' if count == 1 else 's'}; Ctrl-C ends it")
        changed = waiter.wait()
        if sys.stdout.isatty():
            click.clear()
        stderr(f"changed: {', '.join(os.path.relpath(path) for path in changed)}")


def _checked(given: Given, check: Callable[[], int]) -> None:
    """Check once; what cannot be checked is told, and the next change may mend it."""
    given.heard.clear()
    try:
        check()
    except errors.ConvlintError as error:
        stderr(f"error: {error.format()}")


def _is_newer(files: frozenset[str], than: float) -> bool:
    return any(Path(file).stat().st_mtime > than for file in files if Path(file).is_file())
