"""The rdjson report: the fields of reviewdog's DiagnosticResult."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from convlint_reports.rdjson import REPORT

from convlint.contract import RunReport, SnippetLine, View
from convlint.ir.nodes import SourceSpan
from tests.reports import machines, sample


class Position(msgspec.Struct, forbid_unknown_fields=True):
    """A place; both count from 1."""

    line: int
    column: int | None = None


class Range(msgspec.Struct, forbid_unknown_fields=True):
    """From a place to just before another."""

    start: Position
    end: Position | None = None


class Location(msgspec.Struct, forbid_unknown_fields=True):
    """A range of a file."""

    path: str
    range: Range


class Diagnostic(msgspec.Struct, forbid_unknown_fields=True):
    """One diagnostic, with the fields that reviewdog knows."""

    message: str
    location: Location
    severity: str
    code: dict[str, str]


class Result(msgspec.Struct, forbid_unknown_fields=True):
    """reviewdog's DiagnosticResult."""

    source: dict[str, str]
    severity: str
    diagnostics: list[Diagnostic]


def result(run: RunReport, prefix: str = "") -> Result:
    """Return the result, decoded strictly."""
    found = msgspec.convert(json.loads(REPORT.render(run, View(prefix=prefix))), Result)
    for each in found.diagnostics:
        start, end = each.location.range.start, each.location.range.end
        assert start.line >= 1
        assert end is None or (end.line, end.column or 0) > (start.line, start.column or 0)
        assert not each.location.path.startswith(("/", "./"))
        assert each.severity in ("ERROR", "WARNING", "INFO")
    return found


@pytest.mark.parametrize(
    "run", [machines.run(), machines.quiet(), sample.run()], ids=["hostile", "quiet", "none"]
)
def test_the_fields_are_those_of_the_format(run: RunReport) -> None:
    """Nothing is missing and nothing unknown is there."""
    result(run)


def test_a_finding_has_rule_range_and_message() -> None:
    """The first is the largest saving; the whole is as severe as the worst."""
    found = result(sample.run(sample.resnet()), "app/")
    first = found.diagnostics[0]
    assert (first.code, first.severity, found.severity) == (
        {"value": "CL301"},
        "WARNING",
        "WARNING",
    )
    assert first.location.path == "app/nets/resnet.py"
    assert first.location.range.start == Position(86, 22)
    assert result(sample.run(sample.failed())).severity == "ERROR"


def test_columns_count_bytes() -> None:
    """A character of four bytes before the call moves the column by four."""
    text = "x = '\U0001f600'; y = nn.Conv2d(1, 2, 3)"
    column = text.index("nn.") + 1
    found: dict[str, Any] = {
        "location": SourceSpan("a.py", 1, column, 1, len(text) + 1),
        "snippet": (SnippetLine(1, text),),
    }
    finding = msgspec.structs.replace(sample.DENSE, **found)
    model = msgspec.structs.replace(sample.resnet(), findings=(finding,))
    place = result(sample.run(model)).diagnostics[0].location.range
    assert place.start.column == column + 3
    assert place.end == Position(1, len(text.encode()) + 1)
