"""The GitLab report: a Code Quality artifact for merge requests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from convlint import contract
from convlint.contract import Severity
from convlint_reports.annotations import Note, notes
from convlint_reports.words import cleaned

_SEVERITY = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the list of issues; one with a fingerprint of its own for each finding."""
    issues = list(_issues(notes(cleaned(run), view.prefix)))
    return msgspec.json.format(msgspec.json.encode(issues), indent=2).decode() + "\n"


def _issues(found: tuple[Note, ...]) -> Iterator[dict[str, Any]]:
    seen: dict[str, int] = {}
    for note in found:
        own = note.finding.fingerprint if note.finding is not None else note.text
        key = "\0".join((note.code, note.model, own))
        seen[key] = again = seen.get(key, -1) + 1  # GitLab drops the second of two equal ones
        yield {
            "description": f"{note.title}: {note.text}",
            "check_name": note.code,
            "fingerprint": hashlib.sha256(f"{key}\0{again}".encode()).hexdigest()[:32],
            "severity": _SEVERITY[note.level] if note.finding is not None else "blocker",
            "location": {"path": note.path, "lines": {"begin": note.at.line}},
        }


REPORT = contract.ReportFormat("gitlab", "a Code Quality artifact for GitLab", render)
