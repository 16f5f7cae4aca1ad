"""Which findings can be fixed in their files, and what is left to be done by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import libcst

from convlint.contract import Finding, ModelReport
from convlint.errors import UsageError
from convlint.fixing.calls import edit_call
from convlint.ir.nodes import SourceSpan


@dataclass(frozen=True, slots=True)
class FileFix:
    """One file before and after, and the findings whose cure is in it."""

    path: str
    file: Path
    before: str
    after: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class ToDo:
    """A finding that stays for a person, and why."""

    finding: Finding
    why: str


def plan(
    reports: Iterable[ModelReport], files: Mapping[str, Path]
) -> tuple[tuple[FileFix, ...], tuple[ToDo, ...]]:
    """Return the edits of each file, and the findings that no edit cures.

    ``files`` gives the absolute file of a report's path. Later lines are edited first, so that
    the lines of the others stay true. A line that builds several layers is left alone; a model
    that is checked at several inputs is one.
    """
    told = tuple(reports)
    todo: dict[tuple[str, SourceSpan | None], ToDo] = {}
    wanted: dict[str, dict[tuple[int, int], Finding]] = {}
    for report in told:
        for finding in report.findings:
            if not finding.fix:
                continue
            why = _reason(finding, told, files)
            if why:
                todo[finding.fingerprint, finding.location] = ToDo(finding, why)
            elif finding.location is not None:
                span = finding.location
                wanted.setdefault(span.path, {})[span.line, span.column] = finding
    fixes, left = [], list(todo.values())
    for path, at in wanted.items():
        fix, failed = _file(path, files[path], at)
        left += failed
        if fix is not None:
            fixes.append(fix)
    return tuple(fixes), tuple(left)


def _reason(finding: Finding, reports: tuple[ModelReport, ...], files: Mapping[str, Path]) -> str:
    """Return why a finding is not fixed, empty where it can be."""
    span = finding.location
    if span is None:
        return "the line that builds it is not known"
    if span.path not in files:
        return "it is not in a file of this project"
    built = {
        (report.target.partition(":")[0], report.expression or report.target, layer.module)
        for report in reports
        for layer in report.layers
        if layer.location is not None
        and (layer.location.path, layer.location.line) == (span.path, span.line)
        and layer.location.column == span.column
    }
    if len(built) != 1 or len(finding.modules) != 1:
        return f"the line builds {len(built)} layers"
    return ""


def _file(
    path: str, file: Path, at: Mapping[tuple[int, int], Finding]
) -> tuple[FileFix | None, list[ToDo]]:
    try:
        with file.open(encoding="utf-8", newline="") as opened:  # line ends as they are
            before = opened.read()
    except (OSError, UnicodeDecodeError):
        return None, [ToDo(finding, "the file cannot be read as UTF-8") for finding in at.values()]
    after, done, todo = before, [], []
    for (line, column), finding in sorted(at.items(), reverse=True):
        try:
            after = edit_call(after, line, column, finding.fix)
        except (UsageError, libcst.ParserSyntaxError) as error:
            todo.append(ToDo(finding, error.what if isinstance(error, UsageError) else str(error)))
        else:
            done.append(finding)
    fix = FileFix(path, file, before, after, tuple(reversed(done))) if done else None
    return fix, todo
