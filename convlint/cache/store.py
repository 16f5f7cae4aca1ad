"""A folder of entries: whole or not there, whoever writes at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any

from convlint.cache.stamps import digest

NAME = ".convlint_cache"
_MARK = b"convlint cache 1 "
_IGNORED = "# Made by convlint; git is to leave it alone.\n*\n"
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of convlint. See https://bford.info/cachedir/\n"
)
ADVICE = "--no-cache goes without, --cache-dir puts it elsewhere"
_DAY = 86400.0
_MOST_DAYS = 30
_MOST_BYTES = 200 << 20


def read(folder: str, kind: str, key: str) -> Any:
    """Return the entry, or None where there is none, or none that is whole."""
    path = _path(folder, kind, key)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    head, _, body = data.partition(b"\n")
    if head != _MARK + digest(body).encode():
        return None
    try:
        entry = json.loads(body)
    except ValueError:
        return None
    _note_use(path)
    return entry


def write(folder: str, kind: str, key: str, entry: Any) -> str:
    """Keep an entry; return "" or why it could not be kept."""
    path = _path(folder, kind, key)
    part = f"{path}.{os.getpid()}"
    try:
        prepare(folder)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        body = json.dumps(entry, separators=(",", ":")).encode()
        with open(part, "wb") as file:
            file.write(_MARK + digest(body).encode() + b"\n" + body)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        return error.strerror or type(error).__name__
    return ""


def prepare(folder: str) -> None:
    """Make the folder, ignored by git and by backups; raise OSError where it cannot be made."""
    os.makedirs(folder, exist_ok=True)
    for name, text in ((".gitignore", _IGNORED), ("CACHEDIR.TAG", _TAG)):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


def prune(folder: str) -> None:
    """Take away what was not used for a month, and the oldest where it is too much."""
    entries = sorted(_entries(folder))
    room = sum(size for _, size, _ in entries) - _MOST_BYTES
    oldest = time.time() - _MOST_DAYS * _DAY
    for used, size, path in entries:
        if used >= oldest and room <= 0:
            return
        with contextlib.suppress(OSError):
            os.unlink(path)
        room -= size


def _entries(folder: str) -> Iterator[tuple[float, int, str]]:
    """Yield (last use, bytes, path) of every entry."""
    for kind in ("replies", "runs"):
        with contextlib.suppress(OSError), os.scandir(os.path.join(folder, kind)) as found:
            for entry in found:
                seen = entry.stat()
                yield seen.st_mtime, seen.st_size, entry.path


def _path(folder: str, kind: str, key: str) -> str:
    return os.path.join(folder, kind, key)


def _note_use(path: str) -> None:
    with contextlib.suppress(OSError):
        if time.time() - os.stat(path).st_mtime > _DAY:
            os.utime(path)
