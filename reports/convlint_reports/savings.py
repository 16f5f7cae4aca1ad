"""Findings in order of what they save, and savings in words."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from convlint.contract import Finding, ModelReport, Saving, Totals
from convlint_reports import budgets, numbers, quantities
from convlint_reports.quantities import Quantity
from convlint_reports.words import cut, plural

_UNKNOWN = Totals()


class Section(enum.StrEnum):
    """What a finding asks of its reader."""

    BUDGET = "budget"
    EXACT = "exact"
    RETRAIN = "retrain"
    NOTE = "note"


def section(finding: Finding) -> Section:
    """Return where a finding belongs; one that saves nothing countable is a note."""
    if finding.code.startswith("CL7"):
        return Section.BUDGET
    if finding.exact:
        return Section.EXACT
    counted = max(quantity.saved(finding.saving) for quantity in quantities.EVERY)
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
    """Return each quantity that changes and is worth a word, as (amount saved, its size).

    Bytes read, other operations and kernels are told where nothing else is saved.
    """
    told = [
        (q.saved(saving), _sized(q, saving, _UNKNOWN)) for q in quantities.MAIN if q.saved(saving)
    ]
    if all(amount < 0 for amount, _ in told):
        minor = ((q.saved(saving), q.amount(q.saved(saving))) for q in quantities.MINOR)
        told += [(amount, size) for amount, size in minor if amount > 0]
    return tuple(told)


def _sized(quantity: Quantity, saving: Saving, totals: Totals) -> str:
    """Return an amount with its share of the model, where that is known."""
    size = quantity.amount(quantity.saved(saving))
    share = quantities.percent(quantity, saving, totals)
    known = share or quantity in (quantities.MACS, quantities.PARAMS)
    return f"{size} ({numbers.percent(abs(share))})" if known else size


def main(saving: Saving, totals: Totals = _UNKNOWN) -> str:
    """Return the thing saved that says most in words, "" where nothing is.

    That is the first of MACs, parameters, activations and peak of which a share of the model
    worth a word is saved, else the one with the largest share. ``totals`` are the model's.
    """
    quantity = foremost(saving, totals)
    if quantity is not None:
        return _sized(quantity, saving, totals)
    return next((words for amount, words in parts(saving) if amount > 0), "")


def foremost(saving: Saving, totals: Totals) -> Quantity | None:
    """Return the quantity that a saving is told in, None where none of the main ones falls."""
    saved = [q for q in quantities.MAIN if q.saved(saving) > 0]
    shares = {q.key: quantities.percent(q, saving, totals) for q in saved}
    first = next((q for q in saved if shares[q.key] >= quantities.WORTH), None)
    return first or max(saved, key=lambda q: shares[q.key], default=None)


def words(saving: Saving) -> str:
    """Return the whole saving, to follow the word "saves": "…, …; adds …"."""
    less = ", ".join(text for amount, text in parts(saving) if amount > 0)
    more = ", ".join(text for amount, text in parts(saving) if amount < 0)
    return (less or "nothing that is counted") + (f"; adds {more}" if more else "")


def bound(finding: Finding) -> str:
    """Return the warning that MACs saved are not time saved, "" where memory does not bind."""
    if finding.bound != "memory" or finding.saving.macs <= 0:
        return ""
    return (
        "memory traffic bounds these layers under this profile, nothing fused: "
        "MACs saved will not be time saved, bytes saved may be"
    )


def after(model: ModelReport) -> tuple[Totals, Totals]:
    """Return the totals after the exact and after all rewrites; today's where not counted."""
    nothing = Totals()
    exact = model.totals if model.after.exact == nothing else model.after.exact
    return exact, model.totals if model.after.all == nothing else model.after.all


def together(model: ModelReport) -> str:
    """Return the verdict on a model's findings in one line."""
    if model.status in ("failed", "skipped"):
        return "could not be read" if model.status == "failed" else "skipped"
    found = live(model.findings)
    if not found:
        return "nothing found to save" if model.status == "complete" else "nothing found so far"
    kinds = [section(f) for f in found]
    phrases = (
        (Section.BUDGET, "over budget", "budgets broken", ""),
        (Section.EXACT, "exact", "exact", combined(model)),
        (Section.RETRAIN, "needs retraining", "need retraining", ""),
        (Section.NOTE, "note", "notes", ""),
    )
    counts = [(kinds.count(kind), *rest) for kind, *rest in phrases]
    listed = [f"{n} {one if n == 1 else more}{gain}" for n, one, more, gain in counts if n]
    return f"{plural(len(found), 'finding')}: " + "; ".join(listed)


def combined(model: ModelReport) -> str:
    """Return what the exact rewrites save together: ", together -77.1 MMACs (-1.9 %)".

    Told in the first quantity that falls by a share worth a word; "" where none falls.
    """
    exact, _ = after(model)
    falls = [(q, q.total(model.totals), q.total(exact)) for q in quantities.MAIN]
    falls = [(q, now, then) for q, now, then in falls if then < now]
    if not falls:
        return ""
    worth = [fall for fall in falls if numbers.share(fall[1] - fall[2], fall[1]) > quantities.WORTH]
    quantity, now, then = worth[0] if worth else falls[0]
    return f", together -{quantity.amount(now - then)} ({numbers.change(now, then)})"


def headline(model: ModelReport, base: str = "") -> str:
    """Return the line that heads every report of a model, its name left out.

    "31.9 GMACs (+2.1 % vs main) · budget 32 GMACs · 3 findings: ..."; ``base`` names what the
    model is compared with.
    """
    if model.status in ("failed", "skipped"):
        return together(model)
    return " · ".join((size(model, base), *budgets.phrases(model), together(model)))


def size(model: ModelReport, base: str = "") -> str:
    """Return the MACs of a model, with the change since the base where there is one."""
    words = numbers.macs(model.totals.macs)
    if model.base is None:
        return words
    change = numbers.change(model.base.macs, model.totals.macs)
    return f"{words} ({change} vs {cut(base, 60) or 'the base'})"
