"""Values of flags: lists, sizes, choices; and what is said about bad ones."""

from __future__ import annotations

import enum
import re
from typing import Any, Generic, TypeVar

import click

from convlint import errors

Member = TypeVar("Member", bound=enum.StrEnum)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
LEAST_MEMORY = 2**28


class Choice(click.ParamType, Generic[Member]):  # type: ignore[type-arg]
    """A member of an enum; anything else is refused with the closest one."""

    def __init__(self, kind: type[Member]) -> None:
        self.kind = kind
        self.name = kind.__name__.lower()

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Member:
        """Return the member."""
        known = [member.value for member in self.kind]
        if value in known:
            return self.kind(value)
        begun = [word for word in known if word.startswith(value)]
        close = f"did you mean {' or '.join(begun)}?" if begun else errors.suggest(value, known)
        fix = close or f"one of {', '.join(known)}"
        raise errors.UsageError(f"unknown value {value!r}", where=_flag(param), fix=fix)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """Return the choices, as help shows them."""
        return "[" + "|".join(member.value for member in self.kind) + "]"


class Memory(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes: 4GiB, 800MB, 4g."""

    name = "size"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,  # noqa: ARG002
    ) -> int:
        """Return bytes."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?i?)b?", value.strip().lower())
        if match is None or match[2] not in _UNITS:
            what = f"{value!r} is no amount of memory"
            raise errors.UsageError(what, where=_flag(param), fix="write it like 4GiB or 800MB")
        size = int(float(match[1]) * _UNITS[match[2]])
        if size < LEAST_MEMORY:
            what = f"{value} is too little: torch alone needs more than 256MiB"
            raise errors.UsageError(what, where=_flag(param), fix="give at least 1GiB")
        return size


class Shard(click.ParamType):  # type: ignore[type-arg]
    """K/N: the K-th of N parts of the models."""

    name = "k/n"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,  # noqa: ARG002
    ) -> tuple[int, int]:
        """Return (K, N)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", value.strip())
        part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= part <= parts:
            what = f"{value!r} is no part of a whole"
            raise errors.UsageError(what, where=_flag(param), fix="write it like 1/4, up to 4/4")
        return part, parts


def words(values: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the words of comma lists given once or several times; None for none given."""
    if not values:
        return None
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


def _flag(param: click.Parameter | None) -> str:
    return param.opts[0] if param is not None else ""
