"""The rdjson report: diagnostics for reviewdog."""

from __future__ import annotations

from typing import Any

import msgspec

from convlint import contract
from convlint.contract import Severity
from convlint_reports.annotations import Note, notes
from convlint_reports.words import cleaned

_SEVERITY = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "INFO"}


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return a DiagnosticResult; columns count bytes of UTF-8, as the format has them."""
    found = notes(cleaned(run), view.prefix)
    result = {
        "source": {"name": "convlint"},
        "severity": _SEVERITY[max((n.level for n in found), key=_rank, default=Severity.INFO)],
        "diagnostics": [_diagnostic(note) for note in found],
    }
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"


def _rank(level: Severity) -> int:
    return level.rank


def _diagnostic(note: Note) -> dict[str, Any]:
    return {
        "message": f"{note.title}: {note.text}",
        "location": {"path": note.path, "range": _range(note)},
        "severity": _SEVERITY[note.level],
        "code": {"value": note.code},
    }


def _range(note: Note) -> dict[str, Any]:
    start: dict[str, int] = {"line": note.at.line}
    line = _source(note)
    if line is None or not note.one_line or note.at.end_column <= note.at.column:
        return {"start": start}
    start["column"] = _bytes(line, note.at.column)
    end = {"line": note.at.line, "column": _bytes(line, note.at.end_column)}
    return {"start": start, "end": end}


def _source(note: Note) -> str | None:
    lines = note.finding.snippet if note.finding is not None else ()
    return next((each.text for each in lines if each.line == note.at.line), None)


def _bytes(line: str, column: int) -> int:
    return len(line[: column - 1].encode("utf-8", "replace")) + 1


REPORT = contract.ReportFormat("rdjson", "diagnostics for reviewdog", render)
