"""A JSON schema of ``[tool.convlint]``, for editors; made of what the parser itself knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from convlint import profiles
from convlint.contract import Rule, Severity
from convlint.settings import FailLevel
from convlint.settings.limits import KEYS, Limit
from convlint.settings.table import LISTS

STRINGS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
SEVERITY = {"enum": [level.value for level in Severity]}
_NUMBER = r"^\s*[0-9][0-9_]*(\.[0-9]+)?\s*"
_PREFIX = "[kKmMgGtT]?\\s?"
_PARAMS = f"({_PREFIX}[pP][aA][rR][aA][mM][sS]?|[kKmMgGtT])"
_UNITS = {"macs": f"{_PREFIX}[mM][aA][cC][sS]?", "params": _PARAMS}
_BYTES = "[kKmMgGtT]?[iI]?[bB]"


def config_schema(rules: Sequence[Rule]) -> dict[str, Any]:
    """Return the schema of the table, with the options of these rules."""
    properties: dict[str, Any] = {
        **dict.fromkeys(LISTS, STRINGS),
        "fail-level": {"enum": [level.value for level in FailLevel]},
        "profile": {
            "type": "string",
            "description": f"{', '.join(profiles.names())}, or a profile file",
        },
        "runtime": {"type": "string"},
        "ram": {"type": "string", "description": "bytes for activations, like 512 KiB"},
        "required-version": {"type": "string", "description": "like >=0.1,<1"},
        "baseline": {"type": "string", "description": "a file of findings that are known"},
        "rules": _table({word: _rule(rule) for rule in rules for word in _words(rule)}),
        "models": {"type": "array", "items": _model()},
        "overrides": {"type": "array", "items": _override()},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tool.convlint",
        **_table(dict(sorted(properties.items()))),
    }


def _table(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    needed = {"required": list(required)} if required else {}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **needed,
    }


def _words(rule: Rule) -> tuple[str, str]:
    return rule.meta.name, rule.meta.code


def _rule(rule: Rule) -> dict[str, Any]:
    options = msgspec.json.schema(rule.options)
    own = options.get("$defs", {}).get(rule.options.__name__, options).get("properties", {})
    return {"description": rule.meta.summary, **_table({"severity": SEVERITY, **own})}


def _model() -> dict[str, Any]:
    inputs = {"anyOf": [STRINGS, {"type": "array", "items": STRINGS}]}
    outputs = {
        "type": "array",
        "items": {"anyOf": [{"type": "string", "pattern": "\\S"}, {"type": "integer"}]},
        "minItems": 1,
        "description": "the outputs that are read, where not all are: keys or positions",
    }
    own = {"target": {"type": "string"}, "inputs": inputs, "outputs": outputs}
    return _table({**own, **{key: _limit(key) for key in KEYS}}, "target")


def _limit(key: str) -> dict[str, Any]:
    """Return the schema of a limit: the unit is part of the text."""
    limit = Limit(key, "")
    unit = _UNITS.get(limit.name, _BYTES)
    ends = f"({unit}|%)" if limit.increase else unit
    one = {"type": "string", "pattern": f"{_NUMBER}{ends}\\s*$"}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _override() -> dict[str, Any]:
    some = {**STRINGS, "minItems": 1}
    severity = {"type": "object", "additionalProperties": SEVERITY, "minProperties": 1}
    where = {"anyOf": [{"required": ["paths"]}, {"required": ["modules"]}]}
    what = {"anyOf": [{"required": ["ignore"]}, {"required": ["severity"]}]}
    table = _table({"paths": some, "modules": some, "ignore": some, "severity": severity})
    return {**table, "allOf": [where, what]}
