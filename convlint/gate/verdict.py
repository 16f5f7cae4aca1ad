"""What the run comes to: the exit code, and the numbers of the last line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import msgspec

from convlint.contract import Finding, Severity, Summary
from convlint.gate.baseline import KNOWN
from convlint.gate.outcome import Outcome
from convlint.settings import FailLevel
from convlint.wire import Diagnostic, Failure, Reply, Request

OK, FINDINGS, NOT_DONE = 0, 1, 2
UNREAD = "CL902"
_UNREAD = ("CL901", UNREAD, "CL905")
_LOST = ("exited", "crashed", "timeout", "memory", "no-torch", "internal-error")
_NEVER_A_NOTE = (*_LOST, "output-error")


def excused(request: Request, reply: Reply) -> Reply:
    """Return the reply, as skipped where discovery only guessed and it came to nothing.

    That is a guess that could not be read, and a base class that was not read in full.
    """
    doubted = (request.guess and reply.graph is None) or request.base
    if reply.status == "complete" or not doubted:
        return reply
    return msgspec.structs.replace(reply, status="skipped", graph=None)


def settle(
    outcomes: Sequence[Outcome], *, strict: bool = False, hook: bool = False
) -> tuple[Outcome, ...]:
    """Return the outcomes that are told, each failure as an error or, beside others, a note.

    What was skipped is left out; where a target led to nothing else, that is its failure. In a ``hook``, models that need arguments are left out as well.
    A failure is a note where its own file has another model that could be checked, or where it
    only needs arguments and the target led to others; never where the process was lost, nor where
    the model has not the outputs asked for, and never if ``strict``, which also makes errors of
    operations that are not counted.
    """
    checked = {place for outcome in outcomes if outcome.checked for place in _places(outcome)}
    kept: list[Outcome] = []
    for outcome in outcomes:
        if outcome.report.status == "skipped" or (hook and _needs_arguments(outcome)):
            continue
        beside = not outcome.checked and not strict and _stands_beside(outcome, checked)
        outcome = _with_severity(outcome, "info", note=True) if beside else outcome
        kept.append(_strictly(outcome) if strict else outcome)
    told = {outcome.asked for outcome in kept}
    skipped = [] if hook else [outcome for outcome in outcomes if outcome.asked not in told]
    skipped.sort(key=_is_no_module)
    first = {outcome.asked: outcome for outcome in reversed(skipped)}
    return (*kept, *(_nothing_else(outcome) for outcome in reversed(first.values())))


def _places(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """Return what a checked model vouches for: its target, and its file under that target."""
    return (outcome.asked, ""), (outcome.asked, outcome.report.target.partition(":")[0])


def _stands_beside(outcome: Outcome, checked: set[tuple[str, str]]) -> bool:
    if outcome.failure is not None and outcome.failure.kind in _NEVER_A_NOTE:
        return False
    target, file = _places(outcome)
    return file in checked or (_needs_arguments(outcome) and target in checked)


def judge(
    outcomes: Sequence[Outcome],
    fail_level: FailLevel,
    *,
    exit_zero: bool = False,
    stale: int = 0,
    strict_baseline: bool = False,
) -> Summary:
    """Return the numbers and the exit code: 2 not done, 1 findings that count, 0 neither.

    Findings count that are neither suppressed nor known; ``stale`` entries of the baseline do
    with ``strict_baseline``.
    """
    reports = [outcome.report for outcome in outcomes]
    findings = [finding for report in reports for finding in report.findings]
    counted = [finding for finding in findings if finding.suppressed is None]
    new = [finding for finding in counted if finding.baseline != KNOWN]
    failing = any(fail_level.reached_by(finding.severity) for finding in new)
    found = (failing or (strict_baseline and stale > 0)) and not exit_zero
    not_done = any(_not_done(outcome) for outcome in outcomes)
    return Summary(
        models=len(reports),
        failed=sum(not outcome.checked for outcome in outcomes),
        layers=sum(len(report.layers) for report in reports),
        findings=len(counted),
        errors=_count(counted, Severity.ERROR),
        warnings=_count(counted, Severity.WARNING),
        infos=_count(counted, Severity.INFO),
        suppressed=len(findings) - len(counted),
        exit_code=NOT_DONE if not_done else FINDINGS if found else OK,
        new=len(new),
        known=len(counted) - len(new),
        stale=stale,
    )


def _not_done(outcome: Outcome) -> bool:
    failed = not outcome.checked and not outcome.note
    return failed or any(word.severity == "error" for word in outcome.report.diagnostics)


def _count(findings: list[Finding], severity: Severity) -> int:
    return sum(finding.severity is severity for finding in findings)


def _needs_arguments(outcome: Outcome) -> bool:
    return outcome.failure is not None and outcome.failure.kind == "needs-arguments"


def _strictly(outcome: Outcome) -> Outcome:
    """Return the outcome; where the model was read in part, what is missing is an error."""
    return _with_severity(outcome, "error") if outcome.report.status == "partial" else outcome


def _with_severity(
    outcome: Outcome, severity: Literal["error", "info"], *, note: bool = False
) -> Outcome:
    """Return the outcome with the words about what could not be read at this severity."""
    diagnostics = tuple(
        msgspec.structs.replace(word, severity=severity) if word.code in _UNREAD else word
        for word in outcome.report.diagnostics
    )
    report = msgspec.structs.replace(outcome.report, diagnostics=diagnostics)
    return replace(outcome, report=report, note=note or outcome.note)


def is_lost(failure: Failure) -> bool:
    """Say whether it was no fault of the model's code that it could not be read."""
    return failure.kind in _LOST


def _is_no_module(outcome: Outcome) -> bool:
    return outcome.failure is None or outcome.failure.kind == "not-a-module"


def _nothing_else(outcome: Outcome) -> Outcome:
    """Return the failure of a target that led to nothing: its own, or that there is no model."""
    failure, target = outcome.failure, outcome.report.target
    if failure is None or failure.kind == "not-a-module":
        message = "no model here (no class derives from nn.Module)"
        failure = Failure(kind="not-a-module", message=message, fix="name it as file.py:EXPR")
        target = outcome.asked
    text = f"{failure.message}; {failure.fix}" if failure.fix else failure.message
    word = Diagnostic(UNREAD, text, "error", failure.location)
    report = msgspec.structs.replace(
        outcome.report, target=target, status="failed", diagnostics=(word,)
    )
    return replace(outcome, report=report, failure=failure)
