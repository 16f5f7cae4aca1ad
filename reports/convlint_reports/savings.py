"""Findings in order of what they save, and savings in words."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from convlint.contract import Finding, ModelReport, Saving, Totals
from convlint_reports import numbers
from convlint_reports.words import plural


class Section(enum.StrEnum):
    """What a finding asks of its reader."""

    EXACT = "exact"
    RETRAIN = "retrain"
    NOTE = "note"


def section(finding: Finding) -> Section:
    """Return where a finding belongs; one that saves nothing countable is a note."""
    if finding.exact:
        return Section.EXACT
    saving = finding.saving
    counted = max(saving.macs, saving.params, saving.activation_bytes)
    if finding.code.startswith("CL5") or counted <= 0:
        return Section.NOTE
    return Section.RETRAIN


def live(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that are neither suppressed nor known to the baseline, by saving."""
    return ordered(f for f in findings if f.suppressed is None and f.baseline != "known")


def silent(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that are suppressed or known to the baseline, by saving."""
    return ordered(f for f in findings if f.suppressed is not None or f.baseline == "known")


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings by saving, the largest first; equal ones by place and code."""
    return tuple(sorted(findings, key=_rank))


def _rank(finding: Finding) -> tuple[int, int, int, str, int, str]:
    saving, at = finding.saving, finding.location
    place = (at.path, at.line) if at else ("", 0)
    return (-saving.macs, -saving.params, -saving.activation_bytes, *place, finding.code)


def parts(saving: Saving) -> tuple[tuple[int, str], ...]:
    """Return each counted quantity that changes, as (amount saved, its size in words)."""
    mac = f"{numbers.macs(abs(saving.macs))} ({numbers.percent(abs(saving.macs_percent))})"
    par = f"{numbers.si(abs(saving.params))} params ({numbers.percent(abs(saving.params_percent))})"
    act = f"{numbers.size(abs(saving.activation_bytes))} of activations"
    amounts = (saving.macs, saving.params, saving.activation_bytes)
    return tuple((a, words) for a, words in zip(amounts, (mac, par, act), strict=True) if a)


def main(saving: Saving) -> str:
    """Return the first thing saved in words, "" where nothing is."""
    return next((words for amount, words in parts(saving) if amount > 0), "")


def words(saving: Saving) -> str:
    """Return the whole saving, to follow the word "saves": "…, …; adds …"."""
    less = ", ".join(text for amount, text in parts(saving) if amount > 0)
    more = ", ".join(text for amount, text in parts(saving) if amount < 0)
    return (less or "nothing that is counted") + (f"; adds {more}" if more else "")


def after(model: ModelReport) -> tuple[Totals, Totals]:
    """Return the totals after the exact and after all rewrites; today's where not counted."""
    nothing = Totals()
    exact = model.totals if model.after.exact == nothing else model.after.exact
    return exact, model.totals if model.after.all == nothing else model.after.all


def together(model: ModelReport) -> str:
    """Return the verdict on a model in one line."""
    if model.status == "failed":
        return "could not be read"
    found = live(model.findings)
    if not found:
        return "nothing found to save" if model.status == "complete" else "nothing found so far"
    kinds = [section(f) for f in found]
    exact, _ = after(model)
    change = exact.macs - model.totals.macs
    gain = f", together {numbers.macs(change)} ({numbers.change(model.totals.macs, exact.macs)})"
    phrases = (
        (Section.EXACT, "exact", "exact", gain if change else ""),
        (Section.RETRAIN, "needs retraining", "need retraining", ""),
        (Section.NOTE, "note", "notes", ""),
    )
    counts = [(kinds.count(kind), *rest) for kind, *rest in phrases]
    listed = [f"{n} {one if n == 1 else more}{gain}" for n, one, more, gain in counts if n]
    return f"{plural(len(found), 'finding')}: " + "; ".join(listed)
