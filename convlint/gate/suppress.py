"""``# convlint: ignore[CL301, large-kernel] reason``: findings that somebody has judged.

The comment stands on the first or last line of the constructor call, or on the line of a class
around it; ``# convlint: ignore-file[CL301] reason``, anywhere, speaks of the whole file. It names
the rules; what it suppresses stays in the report and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from convlint import errors
from convlint.contract import Finding, ModelReport, Rule
from convlint.gate.comments import Annotated, Comment, read_comments
from convlint.gate.outcome import Outcome
from convlint.ir.nodes import SourceSpan
from convlint.wire import Diagnostic

BLANKET, UNUSED = "CL906", "CL907"


@dataclass(slots=True)
class _Files:
    """The annotated files of a run and the comments that suppressed something."""

    rules: Sequence[Rule]
    read: dict[str, Annotated | None] = field(default_factory=dict)
    used: set[tuple[str, int]] = field(default_factory=set)

    def get(self, file: str) -> Annotated | None:
        if file not in self.read:
            self.read[file] = read_comments(Path(file))
        return self.read[file]

    def code(self, word: str) -> str:
        """Return the code a word of a comment means, the word itself where it means none."""
        for rule in self.rules:
            if word.lower() in (rule.meta.code.lower(), rule.meta.name):
                return rule.meta.code
        return word


def suppress(
    outcomes: Sequence[Outcome], rules: Sequence[Rule], active: frozenset[str]
) -> tuple[Outcome, ...]:
    """Return the outcomes with suppressed findings marked.

    ``active`` are the codes that ran. A comment without a rule (CL906), with an unknown one
    (CL906), or one that suppresses nothing although the code below it ran (CL907) becomes a
    diagnostic of the first model that the file belongs to.
    """
    files = _Files(rules)
    marked = [replace(outcome, report=_mark(outcome, files)) for outcome in outcomes]
    told: set[tuple[str, int]] = set()
    return tuple(_tell(outcome, files, active, told) for outcome in marked)


def _mark(outcome: Outcome, files: _Files) -> ModelReport:
    findings = tuple(_marked(finding, outcome, files) for finding in outcome.report.findings)
    return msgspec.structs.replace(outcome.report, findings=findings)


def _marked(finding: Finding, outcome: Outcome, files: _Files) -> Finding:
    span = finding.location
    file = outcome.sources.get(span.path) if span is not None else None
    annotated = files.get(file) if file else None
    if span is None or file is None or annotated is None:
        return finding
    for comment in annotated.comments_for(span.line, span.end_line or span.line):
        if finding.code in map(files.code, comment.rules):
            files.used.add((file, comment.line))
            return msgspec.structs.replace(finding, suppressed=comment.reason or finding.code)
    return finding


def comment_problems(path: Path, rules: Sequence[Rule]) -> tuple[Diagnostic, ...]:
    """Return what is wrong with the comments of a file; nothing where it is no Python file.

    No model is built, so this does not tell which of them suppress something.
    """
    files = _Files(rules)
    annotated = files.get(str(path)) if path.suffix == ".py" else None
    found = []
    for comment in annotated.comments if annotated else ():
        problem = _problem(comment, files)
        if problem is not None:
            where = SourceSpan(path=path.as_posix(), line=comment.line, column=comment.column)
            found.append(msgspec.structs.replace(problem, location=where))
    return tuple(found)


# --- comments that do nothing ----------------------------------------------------------


def _tell(
    outcome: Outcome, files: _Files, active: frozenset[str], told: set[tuple[str, int]]
) -> Outcome:
    said: list[Diagnostic] = []
    for path, file in sorted(outcome.sources.items()):
        annotated = files.get(file)
        for comment in annotated.comments if annotated else ():
            if (file, comment.line) in told:
                continue
            problem = _problem(comment, files)
            if problem is None and annotated is not None:
                ran = outcome.report.status == "complete" and _ran(
                    annotated, comment, path, outcome
                )
                if ran and (file, comment.line) not in files.used:
                    problem = _unused(comment, files, active)
            if problem is not None:
                told.add((file, comment.line))
                where = SourceSpan(path=path, line=comment.line, column=comment.column)
                said.append(msgspec.structs.replace(problem, location=where))
    if not said:
        return outcome
    diagnostics = (*outcome.report.diagnostics, *said)
    return replace(outcome, report=msgspec.structs.replace(outcome.report, diagnostics=diagnostics))


def _problem(comment: Comment, files: _Files) -> Diagnostic | None:
    """Return what is wrong with the comment itself."""
    if not comment.rules:
        message = (
            "this comment suppresses nothing: name the rules, # convlint: ignore[CL301] reason"
        )
        return Diagnostic(BLANKET, message, "warning")
    known = {rule.meta.code for rule in files.rules}
    unknown = [word for word in comment.rules if files.code(word) not in known]
    if not unknown:
        return None
    close = errors.suggest(unknown[0], known | {rule.meta.name for rule in files.rules})
    message = f"this comment names an unknown rule, {unknown[0]}"
    return Diagnostic(BLANKET, f"{message}; {close}" if close else message, "warning")


def _unused(comment: Comment, files: _Files, active: frozenset[str]) -> Diagnostic | None:
    if not {files.code(word) for word in comment.rules} <= active:
        return None
    names = ", ".join(comment.rules)
    return Diagnostic(UNUSED, f"unused suppression of {names}: nothing is found here", "info")


def _ran(annotated: Annotated, comment: Comment, path: str, outcome: Outcome) -> bool:
    """Say whether the model was built by the code that the comment is about."""
    first, last = annotated.scope_of(comment)
    return any(
        layer.location is not None
        and layer.location.path == path
        and first <= layer.location.line <= last
        for layer in outcome.report.layers
    )
