"""Writes limits into pyproject.toml as text, so that comments and order of the file stay."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from convlint import errors
from convlint.wire import InputSpec

_MODEL = re.compile(r"^\s*\[\[\s*tool\s*\.\s*convlint\s*\.\s*models\s*\]\]")
_HEADER = re.compile(r"^\s*\[")
_SI = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))
_BINARY = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


@dataclass(frozen=True, slots=True)
class Declared:
    """A model to declare: its target, its inputs as texts, its limits as texts by key."""

    target: str
    inputs: tuple[str, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)


def exactly(quantity: str, value: int) -> str:
    """Return a value with its unit, nothing rounded: "2.078917632 GMACs", "784 KiB"."""
    if quantity.endswith("bytes"):
        for unit, size in _BINARY:
            if value and value % size == 0:
                return f"{value // size} {unit}"
        return f"{value} B"
    unit, scale = next((pair for pair in _SI if value >= pair[1]), ("", 1))
    whole, part = divmod(value, scale)
    digits = f"{part:0{len(str(scale)) - 1}d}".rstrip("0") if scale > 1 else ""
    number = f"{whole}.{digits}" if digits else str(whole)
    return (
        f"{number} {unit}MACs"
        if quantity == "macs"
        else f"{number} {unit} params".replace("  ", " ")
    )


def shape_text(spec: InputSpec) -> str | None:
    """Return an input as ``inputs`` takes it, None where it cannot be written so."""
    if spec.argument is not None or (spec.within and not spec.name):
        return None
    name = f"{spec.label}=" if spec.name else ""
    dtype = "" if spec.dtype == "float32" else f":{spec.dtype}"
    return f"{name}{'x'.join(map(str, spec.shape))}{dtype}" if spec.shape else None


def appended(text: str, models: Sequence[Declared], baseline: str, where: str) -> str:
    """Return a TOML file with ``[tool.convlint]`` behind what it holds.

    Raises ConfigError where the table is there already, or nothing can follow.
    """
    if "convlint" in _tool(text, where):
        fix = "`convlint init --tighten` lowers its limits; --write-baseline writes a baseline"
        raise errors.ConfigError("has a table [tool.convlint] already", where=where, fix=fix)
    lines = ["[tool.convlint]", f"baseline = {json.dumps(baseline)}"]
    for model in models:
        lines += ["", "[[tool.convlint.models]]", f"target = {_string(model.target)}"]
        if model.inputs:
            lines.append(f"inputs = [{', '.join(map(_string, model.inputs))}]")
        lines += [f"{key} = {_string(value)}" for key, value in model.limits.items()]
    gap = "\n" if text.strip() else ""
    result = f"{text.rstrip()}\n{gap}" * bool(text.strip()) + "\n".join(lines) + "\n"
    _tool(result, where)
    return result


def lowered(text: str, changes: Mapping[tuple[int, str], str], where: str) -> str:
    """Return a TOML file with limits replaced: ``changes`` are texts by (model, key).

    Models count from 0. Raises ConfigError where a limit does not stand on a line of its own
    below ``[[tool.convlint.models]]``.
    """
    lines = text.split("\n")
    model, inside, done = -1, False, set()
    for number, line in enumerate(lines):
        if _HEADER.match(line):
            inside = bool(_MODEL.match(line))
            model += inside
            continue
        match = re.match(
            r"""(\s*([\w-]+)\s*=\s*)("[^"\\]*"(?!")|'[^']*'(?!'))(.*)$""", line, re.DOTALL
        )
        if inside and match and (model, match[2]) in changes:
            new = _string(changes[model, match[2]])
            lines[number] = f"{match[1]}{new}{match[4]}"
            done.add((model, match[2]))
    result = "\n".join(lines)
    _require_written(result, changes, done, where)
    return result


def _require_written(
    text: str, changes: Mapping[tuple[int, str], str], done: set[tuple[int, str]], where: str
) -> None:
    """Read the file back; raise ConfigError where a limit is not what it was to become."""
    models = _tool(text, where).get("convlint", {}).get("models", [])
    for (model, key), value in changes.items():
        if (model, key) not in done or models[model].get(key) != value:
            what = f"cannot be edited: {key} of model {model} is not on a line of its own"
            raise errors.ConfigError(what, where=where, fix=f'write {key} = "{value}" there')


def _tool(text: str, where: str) -> dict[str, dict[str, list[dict[str, object]]]]:
    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise errors.ConfigError(f"is not valid TOML: {error}", where=where) from None
    return tool if isinstance(tool, dict) else {}


def _string(text: str) -> str:
    """Return a TOML string; a basic one is written as JSON is, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
