"""Reads a target by name, or from a user's file."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from convlint.errors import ConfigError, UsageError, suggest
from convlint.profiles.model import Target

_DATA = Path(__file__).parent / "data"
_MOST = 64 * 1024


def names() -> tuple[str, ...]:
    """Return the names of the targets that come with convlint, generic first."""
    found = sorted(file.stem for file in _DATA.glob("*.toml"))
    return ("generic", *(name for name in found if name != "generic"))


def load(word: str, root: Path | None = None, where: str = "--profile") -> Target:
    """Return the target of this name, or that of a TOML file (relative to ``root``).

    Raises UsageError for an unknown name, ConfigError for a file that does not fit.
    """
    if word in names():
        return _shipped(word)
    path = Path(word) if root is None else root / word
    if path.suffix == ".toml":
        return _read(path, word, where)
    known = names()
    begun = [name for name in known if name.startswith(word)]
    close = f"did you mean {' or '.join(begun)}?" if begun and word else suggest(word, known)
    fix = close or f"one of {', '.join(known)}, or a .toml file"
    raise UsageError(f"unknown value {word!r}", where=where, fix=fix)


@cache
def _shipped(name: str) -> Target:
    return _read(_DATA / f"{name}.toml", name, "convlint")


def _read(path: Path, word: str, where: str) -> Target:
    try:
        if path.stat().st_size > _MOST:
            raise ConfigError(f"{word} is larger than {_MOST} bytes", where=where)
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{word} cannot be read: {error.strerror}", where=where) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{word} is no TOML: {error}", where=where) from None
    base = table.get("base")
    if base is not None:
        if base not in names():
            fix = suggest(str(base), names()) or f"one of {', '.join(names())}"
            raise ConfigError(f"{word} has the unknown base {base!r}", where=where, fix=fix)
        start = {
            key: value
            for key, value in msgspec.to_builtins(_shipped(base)).items()
            if value is not None and key not in ("name", "summary", "base")
        }
        table = {**start, **table}
    table.setdefault("name", path.stem)
    try:
        return msgspec.convert(table, Target)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{word}: {error}", where=where) from None


GENERIC = _shipped("generic")
