"""The GitHub report: workflow commands, which become annotations on lines of a pull request.

GitHub shows ten annotations a level of a step and drops the rest in silence. So there are nine
at most, the largest savings first, and a tenth that counts the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convlint import contract
from convlint.contract import Severity
from convlint_reports.annotations import Note, notes
from convlint_reports.words import cleaned, plural

MOST = 9
_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return one workflow command a finding, at most ten a level; nothing where all is well."""
    found = notes(cleaned(run), view.prefix)
    lines = [line for level in _WORDS for line in _level(found, level)]
    return "".join(f"{line}\n" for line in lines)


def _level(found: Sequence[Note], level: Severity) -> Iterator[str]:
    word = _WORDS[level]
    same = [note for note in found if note.level is level]
    for note in same[:MOST]:
        yield _command(word, note)
    if len(same) > MOST:
        more = plural(len(same) - MOST, f"more {word}")
        yield f"::{word} title=convlint::{_data(f'{more}: the log and the summary have all')}"


def _command(word: str, note: Note) -> str:
    """Return the command; columns only on one line, since GitHub drops others."""
    at = note.at
    values: dict[str, object] = {"title": note.title, "file": note.path, "line": at.line}
    if note.one_line and at.end_column > at.column:
        values |= {"col": at.column, "endColumn": at.end_column}
    properties = ",".join(f"{key}={_property(str(value))}" for key, value in values.items())
    return f"::{word} {properties}::{_data(f'{note.path}:{at.line}: {note.title}: {note.text}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


REPORT = contract.ReportFormat(
    "github", "annotations on a pull request, as workflow commands", render, beside="text"
)
