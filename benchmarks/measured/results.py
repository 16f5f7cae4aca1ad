"""The figures of the rows, kept in a JSON file so that one row can be measured again."""

from __future__ import annotations

from pathlib import Path

import msgspec

FILE = Path(__file__).resolve().parent.parent / "rewrites.json"


class Time(msgspec.Struct, frozen=True):
    """Time over that of the row's first variant, and the interval that holds it (95 %)."""

    ratio: float
    low: float
    high: float
    runs: int

    @property
    def slower(self) -> bool:
        """Whether it is slower beyond the interval, and by more than 2 %."""
        return self.low > 1 and self.ratio > 1.02


class VariantResult(msgspec.Struct, frozen=True):
    """One variant: MACs and bytes moved over those of the first, times by backend."""

    name: str
    macs: float
    bytes_moved: float
    times: dict[str, Time] = {}


class RowResult(msgspec.Struct, frozen=True):
    """One row: ``difference`` is that of the outputs in float64, None where not compared.

    ``skipped`` says why a backend has no time. ``machine`` is what the times belong to.
    """

    name: str
    what: str
    input: str
    rules: tuple[str, ...]
    variants: tuple[VariantResult, ...]
    machine: str
    rewrites: int = 0
    difference: float | None = None
    skipped: dict[str, str] = {}


def load(file: Path = FILE) -> dict[str, RowResult]:
    """Return the kept rows by name, none where there is no file."""
    if not file.exists():
        return {}
    found = msgspec.json.decode(file.read_bytes(), type=list[RowResult])
    return {row.name: row for row in found}


def save(rows: dict[str, RowResult], file: Path = FILE) -> None:
    """Write the rows."""
    text = msgspec.json.format(msgspec.json.encode(list(rows.values())), indent=1)
    file.write_bytes(text + b"\n")
