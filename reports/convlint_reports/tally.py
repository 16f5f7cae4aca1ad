"""Counts over a whole run: by rule, and the last line."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.contract import Finding, RunReport, Totals
from convlint_reports import savings
from convlint_reports.words import plural


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often one rule spoke, and the largest saving of one finding of it."""

    code: str
    name: str
    findings: int
    modules: int
    largest: str


def by_rule(run: RunReport) -> tuple[RuleCount, ...]:
    """Return one row a rule that found something, the largest saving first."""
    rules: dict[str, list[Finding]] = {}
    whole = {id(f): m.totals for m in run.models for f in m.findings}
    for finding in savings.ordered(f for m in run.models for f in savings.live(m.findings)):
        rules.setdefault(finding.code, []).append(finding)
    return tuple(_count(found, whole[id(found[0])]) for found in rules.values())


def _count(found: list[Finding], totals: Totals) -> RuleCount:
    first = found[0]
    modules = sum(len(finding.modules) for finding in found)
    largest = savings.main(first.saving, totals)
    return RuleCount(first.code, first.name, len(found), modules, largest)


def line(run: RunReport) -> str:
    """Return the last line: how much was looked at and what came of it."""
    total = run.summary
    levels = (
        f"{plural(total.errors, 'error')}, {plural(total.warnings, 'warning')}, {total.infos} info"
    )
    parts = [
        plural(total.models, "model"),
        plural(total.layers, "layer"),
        plural(total.findings, "finding") + (f" ({levels})" if total.findings else ""),
        f"{total.new:,} new",
        f"{total.known:,} known",
        f"{total.suppressed:,} suppressed",
        *([f"{total.stale:,} stale"] if total.stale else []),
        f"{total.failed:,} failed",
    ]
    return ", ".join(parts)
