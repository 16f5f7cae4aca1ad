"""What a whole command printed, kept: the same command over unchanged files prints it again.

Loaded before anything else of convlint, so it takes only the standard library.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from convlint import __version__
from convlint.cache import stamps, store
from convlint.touched import Watch

KIND = "runs"
_MARKS = ("pyproject.toml", ".git", ".venv")
_MOST = 32 << 20  # characters that are kept of one command
_STDLIB = os.path.dirname(os.__file__) + os.sep


class Printed:
    """What a command printed and wrote: texts of the two streams, files by path, exit code.

    ``models`` says that what the models were made of is as it was, ``whole`` that all is.
    """

    def __init__(self, entry: Any) -> None:
        self.out = str(entry["out"])
        self.err = str(entry["err"])
        self.files: dict[str, str] = dict(entry["files"])
        self.code = int(entry["code"])
        self.models = _is_as_it_was(entry["environment"][0], entry["made_of"][0])
        self.whole = self.models and _is_as_it_was(entry["environment"][1], entry["made_of"][1])


def _is_as_it_was(environment: dict[str, str | None], made_of: list[stamps.Stamp]) -> bool:
    same = all(os.environ.get(name) == value for name, value in environment.items())
    return same and stamps.hold(made_of)


def key_of(arguments: Sequence[str], places: Sequence[str]) -> str:
    """Return the key of a command: its words, where it runs, and what is above its targets."""
    above = sorted({folder for place in (os.getcwd(), *places) for folder in _above(place)})
    marks = [path for f in above for name in _MARKS if os.path.lexists(path := f"{f}/{name}")]
    streams = [_look_of(stream) for stream in (sys.stdout, sys.stderr)]
    parts = (__version__, sys.version, sys.executable, os.getcwd(), streams, marks, *arguments)
    return stamps.digest(*(str(part).encode(errors="surrogateescape") for part in parts))


def find(folder: str, key: str, arguments: Sequence[str]) -> Printed | None:
    """Return what the command printed when it ran last, None where nothing of it is kept.

    Files are only those that the arguments name.
    """
    entry = store.read(folder, KIND, key)
    try:
        printed = Printed(entry)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None
    typed = {os.path.abspath(word.partition("=")[2] or word) for word in arguments}
    return printed if printed.files.keys() <= typed else None


class Record:
    """Collects what a command is made of while it runs; :meth:`keep` keeps it at the end.

    ``usable`` turns false where something happened that cannot be noted; ``finished`` is set by
    the command that came to its end.
    """

    def __init__(self, key: str) -> None:
        self.finished = False
        self.usable = True
        self.folder = ""
        self._key = key
        self._taker = stamps.Taker(stamps.now())
        self._made_of: list[stamps.Stamp] = []
        self._environment: dict[str, str | None] = {}
        self._watch = Watch().start()

    def add(self, folder: str, replies: Any) -> None:
        """Hear of the replies of one run (a ``convlint.cache.replies.Replies``, None for none)."""
        self.folder = self.folder or folder
        if replies is None or replies.trouble or replies.made_of is None:
            self.usable = False
            return
        self._made_of += replies.made_of
        self._environment.update(replies.environment)

    def prepare(self) -> None:
        """Stamp what is loaded by now, while there is time."""
        if self.usable:
            try:
                self._taker.files(self._loaded())
            except stamps.Changed:
                self.usable = False

    def keep(self, out: str, err: str, code: int) -> str:
        """Keep what was printed; return "" or why it could not be kept."""
        watch = self._watch.stop()
        if not (self.finished and self.usable and self.folder) or watch.uncertain or "\x1b" in err:
            return ""
        try:
            files = {path: _text(path) for path in sorted(self._ours(watch.written))}
            made_of = self._stamps(watch)
        except (OSError, ValueError, stamps.Changed):
            return ""
        if len(out) + len(err) + sum(map(len, files.values())) > _MOST:
            return ""
        entry = {
            "made_of": [_unique(self._made_of), _unique(made_of)],
            "environment": [self._environment, watch.environment],
            "out": out,
            "err": err,
            "files": files,
            "code": code,
        }
        return store.write(self.folder, KIND, self._key, entry)

    def _stamps(self, watch: Watch) -> list[stamps.Stamp]:
        read = self._ours(watch.files) - watch.written
        folders = {os.path.dirname(path) for path in read if not stamps.site_of(path)}
        searched = self._ours(watch.searched | watch.listed | folders)
        return [
            *self._taker.files(read | self._loaded()),
            *self._taker.folders(searched, importable=True),
        ]

    def _loaded(self) -> set[str]:
        return self._ours(self._watch.modules(new=False))

    def _ours(self, paths: set[str]) -> set[str]:
        """Return the paths without those of Python itself, of the cache and of jobs."""
        jobs = os.path.join(tempfile.gettempdir(), "convlint-")
        return {
            path
            for path in paths
            if f"{os.sep}{store.NAME}" not in path
            and not path.startswith((jobs, "/proc/", "/dev/", "/sys/"))
            and f".dist-info{os.sep}" not in path
            and (not f"{path}{os.sep}".startswith(_STDLIB) or stamps.site_of(path))
        }


def _unique(found: list[stamps.Stamp]) -> list[stamps.Stamp]:
    return list({(stamp[0], stamp[1]): stamp for stamp in found}.values())


def _above(place: str) -> list[str]:
    path = os.path.realpath(place)
    folders = [path] if os.path.isdir(path) else []
    while path != (path := os.path.dirname(path)):
        folders.append(path.rstrip(os.sep))
    return folders


def folders_for(places: Sequence[str]) -> list[str]:
    """Return the cache folders that are there, above these places or here."""
    above = {folder: None for place in (*places, os.getcwd()) for folder in _above(place)}
    found = [os.path.join(folder, store.NAME) for folder in above]
    return [folder for folder in found if os.path.isdir(folder)]


def _look_of(stream: Any) -> str:
    if not stream.isatty():
        return "file"
    try:
        return f"terminal {tuple(os.get_terminal_size(stream.fileno()))}"
    except OSError:
        return "terminal"


def _text(path: str) -> str:
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()
