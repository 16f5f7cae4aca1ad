"""The CSV report: one line a layer, for spreadsheets; cost tables with all their columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import msgspec

from convlint import contract
from convlint.costs import CostReport
from convlint.ir.nodes import SourceSpan
from convlint_reports import numbers
from convlint_reports.words import cleaned

LAYERS = (
    "target", "module", "call", "kind", "macs", "params", "param_bytes", "buffer_bytes",
    "other_ops", "bytes_read", "activation_bytes", "input_shapes", "output_shapes",
    "receptive_field", "location",
)  # fmt: skip
ROWS = (
    "target", "module", "kind", "times", "macs", "macs_percent", "params", "param_bytes",
    "other_ops", "bytes_read", "bytes_written", "bytes_moved", "bytes_percent", "intensity",
    "bound", "input_shapes", "output_shapes", "receptive_field", "location",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the layers of every model as lines of CSV."""
    del view
    safe = cleaned(run)
    return _written(
        LAYERS, ((model.target, layer) for model in safe.models for layer in model.layers)
    )


def costs(report: CostReport, view: contract.View) -> str:
    """Return the rows of every cost table as lines of CSV."""
    del view
    safe = cleaned(report)
    return _written(ROWS, ((model.target, row) for model in safe.models for row in model.rows))


def _written(columns: tuple[str, ...], rows: Iterable[tuple[str, msgspec.Struct]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for target, row in rows:
        values = (getattr(row, column) for column in columns[1:])
        writer.writerow([_cell(value) for value in (target, *values)])
    return out.getvalue()


def _cell(value: Any) -> str | int | float:
    """Return a number as it is and anything else as text that no spreadsheet runs."""
    if isinstance(value, int | float):
        return value
    text = _text(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(numbers.shape(shape) for shape in value)
    if isinstance(value, contract.ReceptiveField):
        return "inf" if value.max is None else numbers.field(value)
    if isinstance(value, SourceSpan):
        return f"{value.path}:{value.line}"
    return str(value)


REPORT = contract.ReportFormat("csv", "the layers as a table, for spreadsheets", render, costs)
