"""The findings of a model as a page lists them: in sections, with what they can be filtered by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint.contract import Finding
from convlint_reports import quantities, savings
from convlint_reports.cards import Card, Scene, card
from convlint_reports.savings import Section

HEADINGS = {
    Section.BUDGET: ("Over budget", "The model costs more than its budget allows."),
    Section.EXACT: ("Exact", "The same outputs, and the weights still load."),
    Section.RETRAIN: ("Needs retraining", "The function changes: the accuracy has to be earned."),
    Section.NOTE: ("Hardware notes", "Nothing counted is saved, or only on some chips."),
}
ALONE = "Each saving is counted alone; the table above holds what they save together."


@dataclass(frozen=True, slots=True)
class CardGroup:
    """The cards of one section."""

    mark: str
    title: str
    lead: str
    count: int
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that findings can be filtered by, with how many save of it."""

    key: str
    label: str
    count: int


def filters(live: tuple[Finding, ...]) -> tuple[Choice, ...]:
    """Return the choices of the filter; none where there is nothing to choose from."""
    if len(live) < 2:
        return ()
    counts = [(q, sum(q.saved(f.saving) > 0 for f in live)) for q in quantities.SORTED]
    some = [Choice(q.key, q.label, count) for q, count in counts if count]
    return (Choice("all", "Everything", len(live)), *some) if some else ()


def groups(live: tuple[Finding, ...], prefix: str, scene: Scene) -> Iterator[CardGroup]:
    """Yield the sections that have findings; anchors of cards start with ``prefix``."""
    numbered = tuple(enumerate(live, 1))
    told = False
    for kind, (title, lead) in HEADINGS.items():
        cards = tuple(
            card(f, f"{prefix}{number}", scene)
            for number, f in numbered
            if savings.section(f) is kind
        )
        if cards:
            saves = kind in (Section.EXACT, Section.RETRAIN) and not told
            told = told or saves
            yield CardGroup(
                kind.value, title, f"{lead} {ALONE}" if saves else lead, len(cards), cards
            )
