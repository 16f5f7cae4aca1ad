"""``[[tool.convlint.overrides]]``: other severities, or none, for some files and modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import msgspec
import pathspec

from convlint.contract import Finding
from convlint.gate.outcome import Outcome
from convlint.gate.select import weight
from convlint.settings import Override


def override(outcomes: Sequence[Outcome], overrides: Sequence[Override]) -> tuple[Outcome, ...]:
    """Return the outcomes with the overrides applied in order, so that the last one stands.

    An override holds for a finding in one of its paths all of whose modules fit one of its
    globs. What it ignores stays in the report, suppressed, and does not count.
    """
    if not overrides:
        return tuple(outcomes)
    return tuple(_overridden(outcome, overrides) for outcome in outcomes)


def _overridden(outcome: Outcome, overrides: Sequence[Override]) -> Outcome:
    findings = tuple(_changed(f, outcome, overrides) for f in outcome.report.findings)
    return replace(outcome, report=msgspec.structs.replace(outcome.report, findings=findings))


def _changed(finding: Finding, outcome: Outcome, overrides: Sequence[Override]) -> Finding:
    for one in overrides:
        if not _holds(one, finding, outcome):
            continue
        levels = [
            (weight(finding.code, finding.name, rule), level)
            for rule, level in one.severity.items()
        ]
        best = max(levels, key=lambda pair: pair[0], default=(0, finding.severity))
        if best[0]:
            finding = msgspec.structs.replace(finding, severity=best[1])
        if any(weight(finding.code, finding.name, rule) for rule in one.ignore):
            reason = f"ignored by the configuration's {one.where.rpartition('.')[2]}"
            finding = msgspec.structs.replace(finding, suppressed=reason)
    return finding


def _holds(one: Override, finding: Finding, outcome: Outcome) -> bool:
    span = finding.location
    path = span.path if span is not None else outcome.report.target.partition(":")[0]
    if one.paths and not pathspec.GitIgnoreSpec.from_lines(one.paths).match_file(path):
        return False
    if not one.modules:
        return True
    names = finding.modules or ("",)
    return all(any(fnmatchcase(name, glob) for glob in one.modules) for name in names)
