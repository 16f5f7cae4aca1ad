"""What the exit code says."""

from __future__ import annotations

import pytest

from convlint import gate
from convlint.contract import Severity
from convlint.gate import Outcome
from convlint.ir.graph import GraphDocument
from convlint.settings import FailLevel
from convlint.wire import Diagnostic, Reply, Request
from tests.gate.made import finding, outcome

FAILED = outcome(status="failed", kind="build-error")
NEEDS = outcome(status="failed", kind="needs-arguments")
SKIPPED = outcome(status="skipped")
CLEAN = outcome()
CRASHED = outcome(diagnostics=(Diagnostic("CL903", "a rule crashed", "error"),))


def code(
    *outcomes: Outcome, level: FailLevel = FailLevel.WARNING, zero: bool = False, **how: bool
) -> int:
    """Return the exit code."""
    return gate.judge(gate.settle(outcomes, **how), level, exit_zero=zero).exit_code


@pytest.mark.parametrize(
    ("severity", "codes"),
    [
        (Severity.ERROR, (1, 1, 1, 0)),
        (Severity.WARNING, (0, 1, 1, 0)),
        (Severity.INFO, (0, 0, 1, 0)),
    ],
)
def test_findings_count_from_the_fail_level_on(severity: Severity, codes: tuple[int, ...]) -> None:
    """Findings below the level are shown and leave 0."""
    found = outcome(finding(severity=severity))
    levels = (FailLevel.ERROR, FailLevel.WARNING, FailLevel.INFO, FailLevel.NONE)
    assert tuple(code(found, level=level) for level in levels) == codes
    assert code(found, level=FailLevel.INFO, zero=True) == 0


def test_suppressed_findings_do_not_count() -> None:
    """A suppressed finding leaves 0 and is counted apart."""
    one = outcome(finding(suppressed="measured"), finding(severity=Severity.INFO))
    summary = gate.judge([one], FailLevel.WARNING)
    assert (summary.exit_code, summary.findings, summary.suppressed, summary.infos) == (0, 1, 1, 1)


@pytest.mark.parametrize("bad", [FAILED, NEEDS, CRASHED, SKIPPED])
@pytest.mark.parametrize("zero", [False, True])
def test_what_was_not_done_is_two(bad: Outcome, zero: bool) -> None:
    """A model that could not be read or a rule that crashed beats findings and --exit-zero."""
    other = outcome(finding(), asked="other.py")
    assert code(bad, other, zero=zero) == 2


def test_a_failure_beside_a_checked_model_is_a_note() -> None:
    """What one target led to is done where some of it could be checked, unless strict."""
    assert code(FAILED, CLEAN) == 0
    assert code(FAILED, CLEAN, strict=True) == 2
    told = gate.settle([FAILED, CLEAN])
    assert [d.severity for d in told[0].report.diagnostics] == ["info"]
    assert code(CRASHED, CLEAN) == 2


def test_a_class_that_is_no_model_is_left_out() -> None:
    """A tentative class that is no model is told only where nothing else was there."""
    assert gate.settle([SKIPPED, CLEAN]) == (CLEAN,)
    (told,) = gate.settle([SKIPPED, SKIPPED])
    assert told.failure is not None
    assert told.failure.kind == "not-a-module"


def test_a_hook_skips_what_it_cannot_be_told_about() -> None:
    """In a hook a file without model or with roots that need arguments is skipped, not more."""
    assert code(NEEDS, hook=True) == 0
    assert code(SKIPPED, hook=True) == 0
    assert code(FAILED, hook=True) == 2
    assert gate.settle([NEEDS, SKIPPED], hook=True) == ()


BASE = Request("net.py:Base", "/", base=True)
GUESS = Request("net.py:model", "/", guess=True)
GRAPH = GraphDocument(())


@pytest.mark.parametrize(
    ("request_", "status", "graph", "told"),
    [
        (BASE, "failed", None, "skipped"),
        (BASE, "partial", GRAPH, "skipped"),
        (BASE, "complete", GRAPH, "complete"),
        (GUESS, "failed", None, "skipped"),
        (GUESS, "partial", GRAPH, "partial"),
        (Request("net.py:Net", "/"), "failed", None, "failed"),
    ],
)
def test_what_discovery_doubted_fails_in_silence(
    request_: Request, status: str, graph: GraphDocument | None, told: str
) -> None:
    """A base must be read in full and a guess at all, else both are as if not there."""
    reply = Reply(request_.target, status, graph=graph)  # type: ignore[arg-type]
    assert gate.excused(request_, reply).status == told


def test_a_guess_that_is_all_there_is_says_why() -> None:
    """Where a target led to nothing else the reason is told, not that there is no model."""
    guess = outcome(status="skipped", kind="import-error")
    (told,) = gate.settle([SKIPPED, guess])
    assert told.failure is not None
    assert told.failure.kind == "import-error"
    assert [d.severity for d in told.report.diagnostics] == ["error"]
    assert code(SKIPPED, guess) == 2
    assert gate.settle([guess, CLEAN]) == (CLEAN,)
