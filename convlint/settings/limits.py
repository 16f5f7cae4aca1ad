"""Limits on a model: ``max-macs = "4.2 GMACs"``, ``max-macs-increase = "2%"``.

The unit is part of the value, so that nobody has to know whether 512 are bytes or kilobytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from convlint import errors

QUANTITIES = {
    "macs": "macs",
    "params": "params",
    "param-bytes": "param_bytes",
    "peak-activation-bytes": "peak_activation_bytes",
}
"""What can be limited, as the configuration and as the report's totals call it."""

KEYS = tuple(f"max-{name}{more}" for more in ("", "-increase") for name in QUANTITIES)

_VALUE = re.compile(r"(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?)\s*(?P<unit>[a-zA-Zµ%]*(?: [a-zA-Z]+)?)")
_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BYTES = {f"{prefix}b": scale for prefix, scale in _SCALES.items()} | {
    f"{prefix}ib": 2 ** (10 * step) for step, prefix in enumerate("kmgt", 1)
}
_UNITS = {
    "macs": {f"{p}{word}": scale for p, scale in _SCALES.items() for word in ("macs", "mac")},
    "params": {
        f"{p}{word}": scale
        for p, scale in _SCALES.items()
        for word in ("params", "param", "")
        if p or word
    },
    "param-bytes": _BYTES,
    "peak-activation-bytes": _BYTES,
}
_EXAMPLES = {"macs": "4.2 GMACs", "params": "25 M params"}
EXAMPLE_BYTES = "512 KiB"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. ``text`` is as it was written; either ``amount`` (in MACs, parameters or bytes)
    or ``percent`` is given, the latter only where it limits the increase against a base.
    """

    key: str
    text: str
    amount: int | None = None
    percent: Fraction | None = None

    @property
    def increase(self) -> bool:
        """Whether it limits what is added to a base."""
        return self.key.endswith("-increase")

    @property
    def name(self) -> str:
        """What it limits, as the configuration calls it."""
        return self.key.removeprefix("max-").removesuffix("-increase")

    @property
    def quantity(self) -> str:
        """What it limits, as the report's totals call it."""
        return QUANTITIES[self.name]

    def most(self, base: int | None = None) -> int:
        """Return the most that it allows, given the base's value where it limits an increase."""
        start = base or 0 if self.increase else 0
        if self.percent is not None:
            return start + int(start * self.percent / 100)
        return start + (self.amount or 0)


def parse_limits(key: str, value: Any, where: str) -> tuple[Limit, ...]:
    """Return the limits under one key: a text, or a list of texts that all have to hold.

    Raises ConfigError for a number without its unit, or with one that does not fit.
    """
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise errors.ConfigError("is an empty list", where=where, fix=_fix(key))
    return tuple(_parse(key, text, where) for text in texts)


def parse_bytes(value: Any, where: str) -> int:
    """Return the bytes that "256 KiB" stands for; raise ConfigError as :func:`parse_limits`."""
    limit = _parse("max-peak-activation-bytes", value, where)
    return limit.amount or 0


def _parse(key: str, value: Any, where: str) -> Limit:
    limit = Limit(key, str(value).strip())
    bare = isinstance(value, int | float) and not isinstance(value, bool)
    match = _VALUE.fullmatch(limit.text) if isinstance(value, str) or bare else None
    if match is None:
        raise errors.ConfigError(f"{value!r} is no amount", where=where, fix=_fix(key))
    number = Fraction(match["number"].replace("_", ""))
    unit = match["unit"].replace(" ", "").lower()
    if not unit:
        raise errors.ConfigError(f"{value!r} has no unit", where=where, fix=_fix(key))
    if unit == "%" and limit.increase:
        return Limit(key, limit.text, percent=number)
    scale = _UNITS[limit.name].get(unit)
    if scale is None:
        raise _misfit(limit, match["unit"].strip(), where)
    return Limit(key, limit.text, amount=int(number * scale))


def _misfit(limit: Limit, unit: str, where: str) -> errors.ConfigError:
    fix = _fix(limit.key)
    if limit.name == "macs" and unit.lower().endswith(("flop", "flops")):
        fix = f"one MAC is two FLOPs; {fix}"
    return errors.ConfigError(f"{unit!r} is no unit of {limit.name}", where=where, fix=fix)


def _fix(key: str) -> str:
    example = _EXAMPLES.get(Limit(key, "").name, EXAMPLE_BYTES)
    more = ' or "2%"' if key.endswith("-increase") else ""
    return f'write it like "{example}"{more}'
