"""``required-version = ">=0.2,<1"``: which convlint a project is checked with."""

from __future__ import annotations

import operator
import re

from convlint import errors

_CLAUSE = re.compile(r"(==|!=|>=|<=|~=|>|<)?\s*([0-9]+(?:\.[0-9]+)*)")
_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def require(wanted: str, version: str, where: str) -> str:
    """Return ``wanted``; raise ConfigError where this version does not fit, or it is none.

    A clause is a comparison and a version, several by comma; a version alone means ``==``.
    ``~=1.4`` means at least 1.4 and below 2.
    """
    have = _release(version)
    for clause in wanted.split(","):
        match = _CLAUSE.fullmatch(clause.strip())
        if match is None:
            fix = 'write it like ">=0.1" or ">=0.1,<1"'
            raise errors.ConfigError(f"{wanted!r} is no version", where=where, fix=fix)
        if not _fits(have, match[1] or "==", match[2]):
            what = f"this is convlint {version}, and the project asks for {wanted}"
            raise errors.ConfigError(what, where=where, fix="install a version that fits")
    return wanted


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers a version begins with, zeros at the end left out: 1.0 is 1."""
    numbers = [int(part) for part in re.findall(r"\d+", re.match(r"[\d.]*", text)[0])]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _fits(have: tuple[int, ...], how: str, text: str) -> bool:
    wanted = _release(text)
    if how == "~=":
        same = [int(part) for part in text.split(".")][:-1]
        return have >= wanted and list(have[: len(same)]) == same
    return bool(_COMPARE[how](have, wanted))
