"""What the reports for machines tell of a run: one note a finding, and one a failure.

Notes are about what counts: findings that are suppressed or known are left out. The run they
are made of is a cleaned one, and paths lead from the top folder of the repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from convlint.contract import Finding, ModelReport, RunReport, Severity
from convlint.ir.nodes import SourceSpan
from convlint.wire import Diagnostic
from convlint_reports import savings
from convlint_reports.words import cut

TEXT = 1000
MODULES = 6


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to tell at a line. ``finding`` is None for a failure."""

    level: Severity
    code: str
    name: str
    model: str
    path: str
    at: SourceSpan
    text: str
    finding: Finding | None = None

    @property
    def title(self) -> str:
        """The rule as people call it: "CL301 dense-conv"."""
        return f"{self.code} {self.name}".strip()

    @property
    def one_line(self) -> bool:
        """Whether the columns belong to one line."""
        return self.at.end_line in (0, self.at.line)


def notes(run: RunReport, prefix: str = "") -> tuple[Note, ...]:
    """Return the failures, then the findings that count by severity and saving."""
    failed = [
        _failure(model, word, prefix)
        for model in run.models
        for word in model.diagnostics
        if word.severity == "error"
    ]
    found = [_note(m, f, prefix) for m in run.models for f in savings.live(m.findings)]
    return (*failed, *sorted(found, key=_rank))


def files(run: RunReport, prefix: str = "") -> dict[str, list[ModelReport]]:
    """Return the models of the run by the file they stand in."""
    found: dict[str, list[ModelReport]] = {}
    for model in run.models:
        found.setdefault(prefix + file_of(model.target), []).append(model)
    return found


def file_of(target: str) -> str:
    """Return the file of a target; that of a dotted module as it would be found."""
    place = target.partition(":")[0]
    return place if place.endswith(".py") else f"{place.replace('.', '/')}.py"


def summary(finding: Finding) -> str:
    """Return the modules and what is saved: "layer2.*.conv1 x8: saves 1.2 GMACs (30 %)"."""
    names = finding.module_groups or finding.modules
    listed = ", ".join(cut(name, 80) or "(root)" for name in names[:MODULES])
    if len(names) > MODULES:
        listed += f" and {len(names) - MODULES} more"
    gain = savings.main(finding.saving)
    return ": ".join(part for part in (listed, f"saves {gain}" if gain else "") if part)


def _note(model: ModelReport, finding: Finding, prefix: str) -> Note:
    head = summary(finding)
    text = f"{head}; {finding.message}" if head else finding.message
    at = finding.location or SourceSpan(file_of(model.target), 1)
    return Note(
        finding.severity,
        finding.code,
        finding.name,
        model.target,
        _path(prefix, at.path),
        at,
        _one_line(text),
        finding,
    )


def _failure(model: ModelReport, word: Diagnostic, prefix: str) -> Note:
    at = word.location or SourceSpan(file_of(model.target), 1)
    name = "not-checked" if word.code == "CL902" else "failure"
    return Note(
        Severity.ERROR,
        word.code,
        name,
        model.target,
        _path(prefix, at.path),
        at,
        _one_line(f"{cut(model.target)}: {word.message}"),
    )


def _path(prefix: str, path: str) -> str:
    """Return a path as the readers of repositories want it: POSIX, no ./ in front."""
    return str(PurePosixPath(prefix, path.lstrip("/"))) if path else path


def _one_line(text: str) -> str:
    return cut(" ".join(text.split()), TEXT)


def _rank(note: Note) -> tuple[int, int, int, str, int, str]:
    saving = note.finding.saving if note.finding is not None else None
    macs, params = (saving.macs, saving.params) if saving is not None else (0, 0)
    return (-note.level.rank, -macs, -params, note.path, note.at.line, note.code)
