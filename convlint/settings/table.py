"""``[tool.convlint]`` read strictly: an unknown key or a wrong type is a ConfigError."""

from __future__ import annotations

import enum
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from convlint import errors, profiles
from convlint.contract import Severity
from convlint.settings import limits
from convlint.settings.inputs import parse_inputs
from convlint.settings.model import ModelEntry, Override, RuleTable
from convlint.settings.outputs import parse_outputs
from convlint.wire import InputSpec

LARGEST = 8 * 2**20
LISTS = ("select", "extend-select", "ignore", "exclude")
KEYS = frozenset(
    {*LISTS, "fail-level", "profile", "rules", "models", "overrides", "baseline"}
    | {"required-version", "ram", "runtime"}
)
MODEL_KEYS = frozenset({"target", "inputs", "outputs", *limits.KEYS})
_OVERRIDE_LISTS = ("paths", "modules", "ignore")
OVERRIDE_KEYS = frozenset({*_OVERRIDE_LISTS, "severity"})
# Keys of the design that this version does not serve: never ignored in silence.
LATER = frozenset({"cache"})

_TOML_NAMES = {"array": "list", "str": "string", "int": "integer", "object": "table"}
_TOML_NAMES |= {"bool": "boolean", "null": "nothing"}
Choice = TypeVar("Choice", bound=enum.StrEnum)


def read_toml(path: Path, shown: str) -> dict[str, Any]:
    """Return the file as a table; raise ConfigError where it cannot be read."""
    try:
        if path.stat().st_size > LARGEST:
            raise errors.ConfigError(f"is larger than {LARGEST >> 20} MiB", where=shown)
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        reason = error.strerror or str(error)
        raise errors.ConfigError(f"cannot be read: {reason}", where=shown) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise errors.ConfigError(f"is not valid TOML: {error}", where=shown) from None


def check_keys(table: dict[str, Any], where: str) -> None:
    """Raise ConfigError for a key that is not known, or not served in this version."""
    _check_known(table, KEYS, LATER, where)


def strings(value: object, where: str) -> tuple[str, ...]:
    """Return a list of strings."""
    return convert(value, tuple[str, ...], where)


def choice(kind: type[Choice], value: object, where: str) -> Choice:
    """Return a member of an enum, or say which there are."""
    text = convert(value, str, where)
    known = [member.value for member in kind]
    if text not in known:
        fix = errors.suggest(text, known) or f"one of {', '.join(known)}"
        raise errors.ConfigError(f"unknown value {text!r}", where=where, fix=fix)
    return kind(text)


def rule_tables(value: object, where: str) -> dict[str, RuleTable]:
    """Return ``[tool.convlint.rules.*]`` under the names used there."""
    tables = convert(value, dict[str, dict[str, Any]], where)
    found = {}
    for name, table in tables.items():
        here = f"{where}.{name}"
        severity = None
        if "severity" in table:
            severity = choice(Severity, table["severity"], f"{here}.severity")
        options = {key: item for key, item in table.items() if key != "severity"}
        found[name] = RuleTable(here, severity, options)
    return found


def model_entries(value: object, where: str, root: Path) -> tuple[ModelEntry, ...]:
    """Return ``[[tool.convlint.models]]``; a file outside the root is refused."""
    tables = convert(value, tuple[dict[str, Any], ...], where)
    return tuple(
        _model_entry(table, f"{where}[{number}]", root) for number, table in enumerate(tables)
    )


def _model_entry(table: dict[str, Any], where: str, root: Path) -> ModelEntry:
    _check_known(table, MODEL_KEYS, frozenset(), where)
    if "target" not in table:
        raise errors.ConfigError("has no target", where=where, fix='target = "file.py:EXPR"')
    target = convert(table["target"], str, f"{where}.target")
    inputs = _inputs(table.get("inputs", []), f"{where}.inputs")
    outputs, bounds = _outputs(table, where), _limits(table, where)
    match = re.fullmatch(r"(?P<file>[^:]*?\.py)(?::(?P<expression>.*))?", target, re.DOTALL)
    if match is None:
        place, _, expression = target.partition(":")
        if not expression:
            fix = "write file.py, file.py:EXPR or package.module:EXPR"
            raise errors.ConfigError(f"{target!r} names no model", where=where, fix=fix)
        return ModelEntry(target, place, None, expression, inputs, bounds, outputs)
    path = inside(match["file"], root, where)
    if not path.is_file():
        raise errors.ConfigError(f"no such file: {match['file']}", where=where)
    expression = match["expression"] or ""
    return ModelEntry(target, match["file"], path, expression, inputs, bounds, outputs)


def inside(text: str, root: Path, where: str) -> Path:
    """Return the absolute path of a file that the configuration names; refuse one outside."""
    path = (root / text).resolve()
    if not path.is_relative_to(root.resolve()):
        raise errors.ConfigError(f"{text} lies outside {root.name}/", where=where)
    return path


def _limits(table: dict[str, Any], where: str) -> tuple[limits.Limit, ...]:
    given = [key for key in limits.KEYS if key in table]
    return tuple(
        limit for key in given for limit in limits.parse_limits(key, table[key], f"{where}.{key}")
    )


def overrides(value: object, where: str) -> tuple[Override, ...]:
    """Return ``[[tool.convlint.overrides]]``; each says where it holds and what holds there."""
    tables = convert(value, tuple[dict[str, Any], ...], where)
    return tuple(_override(table, f"{where}[{number}]") for number, table in enumerate(tables))


def _override(table: dict[str, Any], where: str) -> Override:
    _check_known(table, OVERRIDE_KEYS, frozenset(), where)
    for keys, what in (("paths", "modules"), "nowhere"), (("ignore", "severity"), "nothing"):
        if not any(table.get(key) for key in keys):
            fix = f"give it {' or '.join(keys)}"
            raise errors.ConfigError(f"an override that changes {what}", where=where, fix=fix)
    severities = convert(table.get("severity", {}), dict[str, Any], f"{where}.severity")
    return Override(
        where=where,
        **{key: strings(table.get(key, []), f"{where}.{key}") for key in _OVERRIDE_LISTS},
        severity={
            rule: choice(Severity, level, f"{where}.severity.{rule}")
            for rule, level in severities.items()
        },
    )


def _inputs(value: object, where: str) -> tuple[tuple[InputSpec, ...], ...]:
    """Return input lists; a plain list of shapes is one of them."""
    lists = convert(value, list[Any], where)
    plain = bool(lists) and all(isinstance(item, str) for item in lists)
    nested = convert([lists] if plain else lists, list[list[str]], where)
    try:
        return tuple(parse_inputs(item) for item in nested)
    except errors.UsageError as error:
        raise errors.ConfigError(error.what, where=where, fix=error.fix) from None


def _outputs(table: dict[str, Any], where: str) -> tuple[str, ...]:
    if "outputs" not in table:
        return ()
    here = f"{where}.outputs"
    try:
        return parse_outputs(convert(table["outputs"], list[str | int], here), here)
    except errors.UsageError as error:
        raise errors.ConfigError(error.what, where=here, fix=error.fix) from None


T = TypeVar("T")


def convert(value: object, kind: type[T], where: str) -> T:
    """Return ``value`` as ``kind``; raise ConfigError in TOML's words where it is another."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise errors.ConfigError(plain_words(str(error)), where=where) from None


def plain_words(message: str) -> str:
    """Return msgspec's sentence in the words of a TOML file."""
    text, _, path = message.partition(" - at `$")
    text = re.sub(r"`(\w+)`", lambda m: _TOML_NAMES.get(m[1], m[1]), text)
    text = re.sub(r"`([^`]*)`", r"\1", text)
    spot = path.rstrip("`").lstrip(".")
    lowered = text[:1].lower() + text[1:]
    return f"{spot}: {lowered}" if spot else lowered


def _check_known(
    table: dict[str, Any], known: Iterable[str], later: frozenset[str], where: str
) -> None:
    for key in table:
        if key in later:
            what = f"{key} is not supported in this version"
            raise errors.ConfigError(what, where=where, fix="take it out")
        if key not in known:
            fix = errors.suggest(key, known) or f"known are {', '.join(sorted(known))}"
            raise errors.ConfigError(f"unknown key {key}", where=where, fix=fix)


def profile(value: object, where: str, root: Path) -> profiles.Target:
    """Return the target that a name, or a file below ``root``, stands for."""
    if not isinstance(value, str):
        found = _TOML_NAMES.get(type(value).__name__, type(value).__name__)
        raise errors.ConfigError(f"expected string, got {found}", where=where)
    if value.endswith(".toml") and not (root / value).resolve().is_relative_to(root.resolve()):
        raise errors.ConfigError(f"{value} is outside the project", where=where)
    try:
        return profiles.load(value, root, where)
    except errors.UsageError as error:
        raise errors.ConfigError(error.what, where=where, fix=error.fix) from None
