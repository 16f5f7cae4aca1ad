"""What is printed: the report on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from convlint import wire
from convlint.contract import View
from convlint.gate import Outcome
from convlint.ir.nodes import SourceSpan
from convlint.timing import Stopwatch

WIDTH = 100


def _ignore(reply: wire.Reply) -> None:
    del reply


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells on stderr what happens, as much as was asked for.

    ``hear`` is told of every reply as well.
    """

    verbose: int = 0
    quiet: bool = False
    hear: Callable[[wire.Reply], None] = field(default=_ignore)

    def view(self) -> View:
        """Return how the report on stdout is to look."""
        terminal = sys.stdout.isatty()
        return View(
            width=shutil.get_terminal_size((WIDTH, 24)).columns if terminal else WIDTH,
            color=_wants_color(terminal),
            verbose=self.verbose,
            quiet=self.quiet,
        )

    def reply(self, reply: wire.Reply) -> None:
        """Tell what a model's own code printed, and with -v how long it took."""
        if not self.quiet:
            for line in reply.output.splitlines():
                stderr(f"{reply.target}| {line}")
        if self.verbose:
            how = f" as {reply.expression}" if reply.expression else ""
            took = f"in {reply.seconds:.2f} s" if reply.seconds else "from the cache"
            stderr(f"{reply.target}: {reply.status}{how} {took}")

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Tell one line for each model that could not be read and each rule that crashed."""
        for outcome in outcomes:
            if outcome.failure is not None and not outcome.checked:
                self._failure(outcome, outcome.failure)
                continue
            for word in outcome.report.diagnostics:
                if word.severity == "error":
                    stderr(f"error: {_where(outcome, word.location)}: {_one_line(word.message)}")

    def times(self, stopwatch: Stopwatch | None) -> None:
        """Tell how long each step took, and each rule with its own code."""
        if stopwatch is not None:
            for name, seconds in stopwatch.told():
                stderr(f"{seconds:8.3f} s  {name}")

    def word(self, text: str) -> None:
        """Tell one sentence beside the report."""
        stderr(_one_line(text))

    def written(self, path: Path) -> None:
        """Tell where a report is."""
        if not self.quiet:
            stderr(f"report written to {path}")

    def said(self, line: str) -> None:
        """Tell a line about the run; warnings also with -q."""
        if line and (not self.quiet or line.startswith("warning")):
            stderr(line)

    def _failure(self, outcome: Outcome, failure: wire.Failure) -> None:
        if outcome.note and self.quiet:
            return
        head = "note" if outcome.note else "error"
        where = _where(outcome, failure.location)
        if failure.kind == "syntax-error" and failure.location:
            where = f"{where}:{failure.location.column}"
        line = f"{head}: {where}: {_one_line(failure.message)}"
        stderr(f"{line}; {_one_line(failure.fix)}" if failure.fix else line)
        if self.verbose and failure.trace:
            stderr(failure.trace.rstrip())


@contextlib.contextmanager
def no_commands(*, active: bool) -> Iterator[None]:
    """Keep GitHub from taking lines on stderr for workflow commands, whatever models print."""
    if not active:
        yield
        return
    token = secrets.token_hex(16)
    stderr(f"::stop-commands::{token}")
    try:
        yield
    finally:
        stderr(f"::{token}::")


def stdout(text: str) -> None:
    """Print the report, in UTF-8 where stdout goes to a file or pipe."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        if sys.stdout.isatty():
            reconfigure(errors="replace")
        else:
            reconfigure(encoding="utf-8")
    try:
        sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone: say no more, the exit code stands
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stderr(text: str) -> None:
    """Print a line beside the report."""
    click.echo(text, err=True)


def _where(outcome: Outcome, location: SourceSpan | None) -> str:
    return f"{location.path}:{location.line}" if location else outcome.report.target


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _wants_color(terminal: bool) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return terminal or bool(os.environ.get("FORCE_COLOR"))
