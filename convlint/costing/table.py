"""The table as it was asked for: grouped, folded, sorted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from convlint import errors
from convlint.costing.fold import folded
from convlint.costing.rows import together
from convlint.costs import CostRow

NUMBERS = (
    "macs",
    "params",
    "param_bytes",
    "other_ops",
    "bytes_read",
    "bytes_written",
    "bytes_moved",
    "intensity",
    "times",
)
COLUMNS = ("module", "kind", *NUMBERS)
"""What a table can be sorted by."""

Rows = tuple[CostRow, ...]


def table(rows: Rows, by: str, depth: int | None, fold: bool, sort: str) -> Rows:
    """Return the rows grouped ``by`` node, module, kind or line, to ``depth`` parts of a path."""
    if by == "kind":
        rows = by_kind(rows)
    elif by == "line":
        rows = grouped(rows, _line)
    elif by == "module" or depth is not None:
        modules = grouped(rows, lambda row: _cut(row.module, depth))
        rows = tuple(msgspec.structs.replace(row, times=1) for row in modules)
    if fold and by in ("node", "module"):
        rows = folded(rows)
    return ordered(rows, sort)


def grouped(rows: Rows, key: Callable[[CostRow], str]) -> Rows:
    """Return one row for each key, in the order they come first, named by it.

    ``times`` is how many operations are in it.
    """
    found: dict[str, list[CostRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return tuple(together(tuple(group), module=name) for name, group in found.items())


def by_kind(rows: Rows) -> Rows:
    """Return the sums by kind, most MACs and then most bytes first."""
    sums = grouped(rows, lambda row: row.kind)
    named = (msgspec.structs.replace(row, module="") for row in sums)
    return tuple(sorted(named, key=lambda row: (-row.macs, -row.bytes_moved, row.kind)))


def ordered(rows: Rows, column: str) -> Rows:
    """Return the rows sorted: numbers from the largest, names from A; "" keeps the order."""
    if not column:
        return rows
    if column not in COLUMNS:
        fix = errors.suggest(column, COLUMNS) or f"one of {', '.join(COLUMNS)}"
        raise errors.UsageError(f"no column {column!r}", where="--sort", fix=fix)
    if column in NUMBERS:
        return tuple(sorted(rows, key=lambda row: -_number(row, column)))
    return tuple(sorted(rows, key=lambda row: str(getattr(row, column))))


def _number(row: CostRow, column: str) -> float:
    if column == "intensity":
        return row.macs / row.bytes_moved if row.bytes_moved else -1.0
    return float(getattr(row, column))


def _cut(module: str, depth: int | None) -> str:
    return module if depth is None else ".".join(module.split(".")[:depth])


def _line(row: CostRow) -> str:
    return f"{row.location.path}:{row.location.line}" if row.location else "(line not known)"
