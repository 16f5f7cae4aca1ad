"""Prints again what the same command printed, where nothing changed since."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from convlint.cache import runs, store
from convlint.cli.ahead import place_of, reads_models
from convlint.cli.given import Given

_ALWAYS_RUN = frozenset(
    {"--no-cache", "--base", "--write-baseline", "--prune-baseline", "--watch", "--verbose"}
)
_VERBOSE = re.compile(r"-[a-z]*v[a-z]*")


class Copy:
    """A stream that also keeps what is written to it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.parts: list[str] = []

    def write(self, text: str) -> int:
        """Write and keep the text."""
        written: int = self.stream.write(text)
        self.parts.append(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Replay:
    """One command: its key, and where it may be kept."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = arguments
        places = [place for word in arguments if (place := place_of(word)) is not None]
        self.key = runs.key_of(arguments, places)
        given = _cache_dir(arguments)
        self.folders = [given] if given else runs.folders_for(places)
        self.read_again = False

    def printed(self) -> int | None:
        """Print what was kept and return the exit code; None where there is nothing to print.

        ``read_again`` tells then that the models themselves did not change.
        """
        for folder in self.folders:
            found = runs.find(folder, self.key, self.arguments)
            if found is None:
                continue
            if found.whole and _written(found.files):
                return _print(found)
            self.read_again = found.models
        return None

    def record(self) -> runs.Record:
        """Return the record of the run that follows."""
        return runs.Record(self.key)

    @contextmanager
    def copied(self) -> Iterator[tuple[Copy, Copy]]:
        """Keep what goes to stdout and stderr meanwhile."""
        streams = sys.stdout, sys.stderr
        copies = Copy(sys.stdout), Copy(sys.stderr)
        sys.stdout, sys.stderr = copies
        try:
            yield copies
        finally:
            sys.stdout, sys.stderr = streams

    def keep(self, given: Given, copies: tuple[Copy, Copy], code: int) -> int:
        """Keep what was printed and return the code; say so where the cache cannot be written."""
        out, err = ("".join(copy.parts) for copy in copies)
        trouble = given.record.keep(out, err, code) if given.record is not None else ""
        if trouble:
            warning = f"warning: the cache cannot be written: {trouble}; {store.ADVICE}"
            print(warning, file=sys.stderr)
        return code


def of(arguments: Sequence[str]) -> Replay | None:
    """Return the replay of a command, None for one that is to run whatever was kept."""
    words = {word.partition("=")[0] for word in arguments}
    if not reads_models(arguments) or words & _ALWAYS_RUN:
        return None
    if any(_VERBOSE.fullmatch(word) for word in arguments):
        return None
    if any(word.endswith("github") for word in arguments):  # its token is to be a new one each time
        return None
    return Replay(arguments)


def _cache_dir(arguments: Sequence[str]) -> str:
    for place, word in enumerate(arguments):
        if word.startswith("--cache-dir="):
            return word.partition("=")[2]
        if word == "--cache-dir" and place + 1 < len(arguments):
            return arguments[place + 1]
    return ""


def _written(files: dict[str, str]) -> bool:
    """Write the files of a command anew; False where one cannot be written."""
    for path, text in files.items():
        try:
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError:
            return False
    return True


def _print(found: runs.Printed) -> int:
    sys.stderr.write(found.err)
    if sys.stdout.isatty():
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    else:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    try:
        sys.stdout.write(found.out)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone: the exit code stands
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return found.code
