"""A bar on stderr while models are read, for who watches and where it takes a while."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convlint import wire

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DELAY = 2.0
"""Seconds of work before the bar comes: what is done sooner needs none."""


@dataclass(slots=True)
class Bar:
    """Counts the models that were read; shows itself after ``delay`` seconds, then goes again.

    Nothing is shown where ``watched`` is false. What is printed to stderr meanwhile stands above
    the bar.
    """

    watched: bool
    delay: float = DELAY
    _total: int = 0
    _done: int = 0
    _shown: Progress | None = None
    _task: TaskID | None = None
    _timer: threading.Timer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Bar:
        if self.watched:
            self._timer = threading.Timer(self.delay, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self.watched = False
            if self._shown is not None:
                self._shown.stop()
                self._shown = None

    def expect(self, count: int) -> None:
        """Hear how many more models there are to read."""
        self._total += count
        self._move()

    def hear(self, reply: wire.Reply) -> None:
        """Hear that one model was read."""
        del reply
        self._done += 1
        self._move()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        with self._lock:
            if not self.watched:
                return
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            console = Console(file=sys.stderr, highlight=False)
            self._shown = Progress(*columns, Elapsed(), console=console, transient=True)
            self._task = self._shown.add_task("reading models", total=self._total or None)
            self._shown.start()
        self._move()

    def _move(self) -> None:
        with self._lock:
            if self._shown is not None and self._task is not None:
                self._shown.update(self._task, total=self._total or None, completed=self._done)


def bar(*, quiet: bool) -> Bar:
    """Return a bar that shows itself only on a terminal that can redraw a line."""
    dumb = os.environ.get("TERM", "") in ("", "dumb")
    return Bar(watched=sys.stderr.isatty() and not quiet and not dumb)
