"""The JSON report: the report structs as they are, schema_version 1."""

from __future__ import annotations

from typing import Any

import msgspec

from convlint import contract
from convlint.costs import CostReport


def render(run: contract.RunReport | CostReport, view: contract.View) -> str:
    """Return the report as indented JSON; the same report gives the same bytes."""
    del view
    try:
        encoded = msgspec.json.encode(run)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_without_surrogates(msgspec.to_builtins(run)))
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the report."""
    return msgspec.json.schema(contract.RunReport)


def _without_surrogates(value: Any) -> Any:
    """Return builtins whose strings can be written as UTF-8 (a path may hold raw bytes)."""
    if isinstance(value, dict):
        return {key: _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


REPORT = contract.ReportFormat("json", "the whole report as data, schema_version 1", render, render)
