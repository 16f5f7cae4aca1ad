"""A finding as a page shows it: every number already a word."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.contract import Finding, Saving
from convlint.ir.nodes import SourceSpan
from convlint_reports import numbers, related, savings
from convlint_reports.frame import FrameLine, frame
from convlint_reports.numbers import typographic
from convlint_reports.words import cut, plural

MODULES = 24


@dataclass(frozen=True, slots=True)
class Gain:
    """One quantity a finding changes; ``grows`` where it would cost more."""

    amount: str
    percent: str
    grows: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One finding."""

    anchor: str
    code: str
    name: str
    severity: str
    place: str
    message: str
    main: str
    gains: tuple[Gain, ...]
    saves: str
    modules: tuple[str, ...]
    modules_more: str
    alternatives: tuple[tuple[str, str], ...]
    instead: str
    risk: str
    related: tuple[str, ...]
    frame: tuple[FrameLine, ...]
    suppress: str
    silenced: str


def card(finding: Finding, anchor: str) -> Card:
    """Return the card of a finding."""
    names = finding.module_groups or finding.modules
    hidden = len(names) - MODULES
    return Card(
        anchor=anchor,
        code=cut(finding.code, 40),
        name=cut(finding.name),
        severity=finding.severity.value,
        place=where(finding.location),
        message=finding.message,
        main=savings.main(finding.saving),
        gains=gains(finding.saving),
        saves=typographic(savings.words(finding.saving)),
        modules=tuple(cut(name) or "(root)" for name in names[:MODULES]),
        modules_more=plural(hidden, "more group") if hidden > 0 else "",
        alternatives=tuple(
            (cut(x.label, 400), typographic(savings.words(x.saving))) for x in finding.alternatives
        ),
        instead=finding.instead.rstrip("\n"),
        risk=finding.risk,
        related=related.told(finding),
        frame=frame(finding),
        suppress=f"# convlint: ignore[{cut(finding.code, 40)}] reason",
        silenced=_silenced(finding),
    )


def _silenced(finding: Finding) -> str:
    if finding.suppressed is not None:
        return finding.suppressed or "suppressed without a reason"
    return "known to the baseline" if finding.baseline == "known" else ""


def where(at: SourceSpan | None) -> str:
    """Return "path:line:col", "" where the line is not known."""
    return f"{at.path}:{at.line}:{at.column}" if at else ""


def line_of(at: SourceSpan | None) -> str:
    """Return "path:line", "" where the line is not known."""
    return f"{at.path}:{at.line}" if at else ""


def gains(saving: Saving) -> tuple[Gain, ...]:
    """Return the quantities a saving changes, MACs first."""
    counted = (
        (saving.macs, numbers.macs, saving.macs_percent, ""),
        (saving.params, numbers.si, saving.params_percent, " params"),
        (saving.activation_bytes, numbers.size, 0.0, " of activations"),
    )
    found = []
    for value, form, share, what in counted:
        sign = "−" if value > 0 else "+"
        percent = f"{sign}{numbers.percent(abs(share))}" if share else ""
        if value:
            found.append(Gain(f"{sign}{form(abs(value))}{what}", percent, value < 0))
    return tuple(found)
