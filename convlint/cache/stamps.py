"""Stamps: what a file, a folder or the installed packages were like, and whether they still are.

A stamp is a list that JSON can hold: its kind, the path, and what was seen there.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable
from typing import Any

Stamp = list[Any]

_SITES = ("site-packages", "dist-packages")
_BIG = 1 << 20
_OURS = (".convlint_cache", "__pycache__")
_VERSION = re.compile(rb"^Version:[^\n]*", re.MULTILINE)


class Changed(Exception):
    """Something was changed while it was being read: nothing can be said of it."""


def now() -> int:
    """Return the time in nanoseconds by the clock that stamps files."""
    if hasattr(time, "CLOCK_REALTIME_COARSE"):
        return time.clock_gettime_ns(time.CLOCK_REALTIME_COARSE)
    return time.time_ns()


def site_of(path: str) -> str:
    """Return the folder of installed packages that a path is in or is, "" for none."""
    for name in _SITES:
        head, found, tail = path.partition(os.sep + name)
        if found and tail[:1] in ("", os.sep):
            return head + found
    return ""


class Taker:
    """Takes stamps, each path once. What changed after ``started`` raises :class:`Changed`."""

    def __init__(self, started: int) -> None:
        self._started = started
        self._known: dict[tuple[str, str], Stamp] = {}

    def files(self, paths: Iterable[str]) -> list[Stamp]:
        """Return the stamps of files; of installed ones also that of their site."""
        found = [self._take("file", path) for path in sorted(set(paths))]
        return [stamp for stamp in found if stamp] + self.sites(map(site_of, set(paths)))

    def folders(self, paths: Iterable[str], *, importable: bool) -> list[Stamp]:
        """Return the stamps of folders' entries, or only of those that can be imported."""
        kind = "importable" if importable else "entries"
        outside = sorted({path for path in paths if not site_of(path)})
        inside = self.sites(map(site_of, paths))
        return [self._take(kind, path) for path in outside] + inside

    def sites(self, paths: Iterable[str]) -> list[Stamp]:
        """Return the stamps of folders of installed packages."""
        return [self._take("site", path) for path in sorted(set(paths)) if path]

    def _take(self, kind: str, path: str) -> Stamp:
        stamp = self._known.get((kind, path))
        if stamp is None:
            stamp = self._known[kind, path] = self._made(kind, path)
        return stamp

    def _made(self, kind: str, path: str) -> Stamp:
        if kind == "entries":
            return [kind, path, _entries(path, importable=False)]
        if kind == "importable":
            return [kind, path, _entries(path, importable=True)]
        if kind == "site":
            return [kind, path, _versions(path, quick=True), _versions(path, quick=False)]
        try:
            seen = os.stat(path)
        except OSError:
            return ["gone", path]
        if not stat.S_ISREG(seen.st_mode):
            return []
        if seen.st_ctime_ns > self._started:
            raise Changed(path)
        return [kind, path, *_numbers(seen), _content(path, seen.st_size)]


def hold(stamps: Iterable[Stamp]) -> bool:
    """Return whether everything is still as it was stamped; what is no stamp is not."""
    try:
        return all(map(_holds, stamps))
    except (Changed, IndexError, TypeError, ValueError):
        return False


def _holds(stamp: Stamp) -> bool:
    kind, path = str(stamp[0]), str(stamp[1])
    seen: list[Any] = stamp[2:]
    if kind == "gone":
        return not os.path.lexists(path)
    if kind == "file":
        return _same_file(path, seen)
    if kind == "site":
        return str(seen[0]) == _versions(path, quick=True) or str(seen[1]) == _versions(
            path, quick=False
        )
    listed = kind in ("entries", "importable")
    return listed and _entries(path, importable=kind == "importable") == str(seen[0])


def _same_file(path: str, seen: list[Any]) -> bool:
    try:
        found = os.stat(path)
        same = _numbers(found) == seen[:3]
        return same or _content(path, found.st_size) == str(seen[3])
    except OSError:
        return False


def _numbers(seen: os.stat_result) -> list[int]:
    return [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns]


def _content(path: str, size: int) -> str:
    """Return a digest of a file; of a large installed one only that it is there."""
    if size > _BIG and site_of(path):
        return ""
    try:
        with open(path, "rb") as file:
            return digest(file.read())
    except OSError as error:
        raise Changed(path) from error


def digest(*parts: bytes) -> str:
    """Return a short digest of some bytes."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(len(part).to_bytes(8, "big") + part)
    return made.hexdigest()


def _entries(folder: str, *, importable: bool) -> str:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ""
    kept = [name for name in names if name not in _OURS]
    if importable:
        kept = [name for name in kept if "." not in name or name.endswith((".py", ".so", ".pyd"))]
    return digest("\0".join(kept).encode(errors="surrogateescape"))


def _versions(site: str, *, quick: bool) -> str:
    """Return a digest of which packages are installed at which version.

    The ``quick`` one changes also where the same ones were installed anew.
    """
    try:
        with os.scandir(site) as found:
            names = sorted(entry.name for entry in found if entry.name.endswith("-info"))
    except OSError:
        return ""
    seen = []
    for name in names:
        metadata = os.path.join(site, name, "METADATA")
        seen.append(name.encode(errors="surrogateescape"))
        seen.append(_changed_at(metadata) if quick else _version_in(metadata))
    return digest(*seen)


def _changed_at(path: str) -> bytes:
    try:
        found = os.stat(path)
    except OSError:
        return b""
    return b"%d %d %d" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _version_in(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            match = _VERSION.search(file.read(4096))
    except OSError:
        return b""
    return match[0] if match else b""
