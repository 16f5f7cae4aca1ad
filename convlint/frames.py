"""Puts the lines around each finding into the report, so that a report needs no files."""

from __future__ import annotations

import tokenize
from collections.abc import Mapping
from pathlib import Path

import msgspec

from convlint.contract import Finding, ModelReport, SnippetLine

CONTEXT = 1
LONGEST = 12


def fill(report: ModelReport, sources: Mapping[str, str]) -> ModelReport:
    """Return the report with a code frame at each finding whose file is in ``sources``."""
    lines: dict[str, list[str]] = {}
    findings = tuple(_framed(finding, sources, lines) for finding in report.findings)
    return msgspec.structs.replace(report, findings=findings)


def _framed(finding: Finding, sources: Mapping[str, str], lines: dict[str, list[str]]) -> Finding:
    span = finding.location
    file = sources.get(span.path) if span is not None else None
    if span is None or file is None:
        return finding
    if file not in lines:
        lines[file] = _read(file)
    last = min(max(span.end_line, span.line), span.line + LONGEST)
    around = range(max(span.line - CONTEXT, 1), min(last + CONTEXT, len(lines[file])) + 1)
    snippet = tuple(SnippetLine(number, lines[file][number - 1]) for number in around)
    return msgspec.structs.replace(finding, snippet=snippet)


def _read(file: str) -> list[str]:
    """Return the lines as Python reads the file; none where it cannot be read."""
    try:
        with tokenize.open(Path(file)) as stream:
            return stream.read().split("\n")
    except (OSError, SyntaxError, UnicodeDecodeError):
        return []
