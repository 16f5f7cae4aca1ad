"""What the child read of each model, kept: the same Request about unchanged files is answered."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

import convlint
from convlint import wire
from convlint.cache import stamps, store
from convlint.sandbox.server import SET

KIND = "replies"
_LOST = ("exited", "crashed", "timeout", "memory", "no-torch", "internal-error")
_LARGEST = 16 << 20


class Replies:
    """The replies kept in one folder, for one interpreter; ``folder`` "" keeps nothing.

    ``made_of`` collects the stamps behind every reply that was found or kept, None as soon as
    one of them cannot be kept. ``trouble`` says why the folder cannot be written, "" where it can.
    """

    def __init__(self, folder: str, python: str | None = None, started: int | None = None) -> None:
        self.folder = folder
        self.trouble = ""
        self.made_of: list[stamps.Stamp] | None = []
        self.environment: dict[str, str | None] = {}
        self._python = python or sys.executable
        self._taker = stamps.Taker(stamps.now() if started is None else started)
        self._engine = _engine()

    def find(self, request: wire.Request) -> wire.Reply | None:
        """Return the reply to the same request, if all it was made of is as it was."""
        if not self.folder:
            return None
        entry = store.read(self.folder, KIND, self._key(request))
        try:
            made_of, environment = entry["made_of"], entry["environment"]
            reply = msgspec.convert(entry["reply"], wire.Reply)
        except (KeyError, TypeError, msgspec.ValidationError):
            return None
        if not same_environment(environment) or not stamps.hold(made_of):
            return None
        self._note(made_of, environment)
        return reply

    def keep(self, request: wire.Request, reply: wire.Reply) -> None:
        """Keep the reply, unless it was an accident or something changed meanwhile."""
        touched = reply.touched
        lost = reply.failure is not None and reply.failure.kind in _LOST
        if touched is None or touched.uncertain or lost:
            self.made_of = None
            return
        try:
            made_of = self._stamps(touched)
        except stamps.Changed:
            self.made_of = None
            return
        environment = {k: v for k, v in touched.environment.items() if k not in SET}
        self._note(made_of, environment)
        if not self.folder or self.trouble:
            return
        plain = msgspec.to_builtins(msgspec.structs.replace(reply, seconds=0.0))
        entry = {"made_of": made_of, "environment": environment, "reply": plain}
        self.trouble = store.write(self.folder, KIND, self._key(request), entry)

    def _stamps(self, touched: wire.Touched) -> list[stamps.Stamp]:
        taker = self._taker
        return [
            *taker.files(touched.files),
            *taker.folders(touched.listed, importable=False),
            *taker.folders(touched.searched, importable=True),
            *taker.sites(touched.sites),
        ]

    def _note(self, made_of: list[stamps.Stamp], environment: dict[str, str | None]) -> None:
        self.environment.update(environment)
        if self.made_of is not None:
            self.made_of += made_of

    def _key(self, request: wire.Request) -> str:
        python = os.path.realpath(self._python)
        parts: tuple[Any, ...] = (
            self._engine,
            self._python,
            *_seen(python),
            str(Path.cwd()),
            os.environ.get("PYTHONPATH", ""),
        )
        return stamps.digest(wire.encode(request), *(str(part).encode() for part in parts))


def same_environment(noted: dict[str, str | None]) -> bool:
    """Return whether the variables that were read have the values they had."""
    return all(os.environ.get(key) == value for key, value in noted.items())


def _engine() -> str:
    """Return what stands for convlint itself: its version, and its files as they are."""
    folder = Path(convlint.__file__).parent
    files = sorted(folder.rglob("*.py"))
    seen = "\0".join(f"{file.relative_to(folder)} {_seen(str(file))}" for file in files)
    return f"{convlint.__version__} {stamps.digest(seen.encode())}"


def _seen(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_size, found.st_mtime_ns)
