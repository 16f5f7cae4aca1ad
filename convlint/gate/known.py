"""What a baseline or a base knows: findings matched with entries, and entries that can go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from convlint.gate.baseline import FIRST, KNOWN, THEN, Entry, entry_of, model_name, writable
from convlint.gate.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Marked:
    """Outcomes with their known findings marked, and the entries that matched none."""

    outcomes: tuple[Outcome, ...]
    left: tuple[Entry, ...]


def mark(
    outcomes: Sequence[Outcome], entries: Sequence[Entry], *, here: Path | None = None
) -> Marked:
    """Return the outcomes with each finding known that an entry covers; one entry, one finding.

    An entry covers a finding of its fingerprint, or one of its rule on its modules or fewer, in
    its model; and in one of the same name in another file where its own was not read: the file
    was renamed. It does not cover one that saves more. In a run over a part of the files the
    entry's file has to be gone from the folder ``here``.
    """
    read = {outcome.report.target for outcome in outcomes}
    fixed = {e.model for e in entries if e.model in read or (here and not _gone(e, here))}
    shelf = _Shelf(entries, frozenset(fixed))
    found = [(f, entry_of(o.report.target, f)) for o in outcomes for f in o.report.findings]
    known: set[int] = set()
    for look_up in (_same, _moved, _shrunk):
        for finding, now in found:
            if id(finding) not in known and shelf.take(now, look_up(now)):
                known.add(id(finding))
    known |= _again(outcomes, known)
    marked = tuple(_with_known(outcome, known) for outcome in outcomes)
    return Marked(marked, shelf.left)


def _again(outcomes: Sequence[Outcome], known: set[int]) -> set[int]:
    """Return the findings of models that were read twice, where the other reading is known."""
    told = {
        (outcome.report.target, finding.fingerprint): place
        for place, outcome in enumerate(outcomes)
        for finding in outcome.report.findings
        if id(finding) in known
    }
    return {
        id(finding)
        for place, outcome in enumerate(outcomes)
        for finding in outcome.report.findings
        if told.get((outcome.report.target, finding.fingerprint), place) != place
    }


@dataclass(slots=True)
class _Shelf:
    """The entries by what they are looked up by; each is taken once.

    Those of the ``fixed`` models stand for no model of another file.
    """

    entries: Sequence[Entry]
    fixed: frozenset[str]
    taken: set[int] = field(default_factory=set)
    places: dict[object, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, entry in enumerate(self.entries):
            for key in (_same(entry), _moved(entry), _shrunk(entry)):
                self.places.setdefault(key, []).append(place)

    @property
    def left(self) -> tuple[Entry, ...]:
        """The entries that nobody took."""
        return tuple(e for place, e in enumerate(self.entries) if place not in self.taken)

    def take(self, now: Entry, key: object) -> bool:
        """Take the entry that covers the finding most tightly; say whether there was one."""
        covering = [
            place
            for place in self.places.get(key, ())
            if place not in self.taken and self._covers(self.entries[place], now)
        ]
        if not covering:
            return False
        self.taken.add(
            min(covering, key=lambda place: (sum(self.entries[place].saving.values()), place))
        )
        return True

    def _covers(self, entry: Entry, now: Entry) -> bool:
        if entry.model != now.model and entry.model in self.fixed:
            return False
        same = entry.fingerprint == now.fingerprint or set(now.modules) <= set(entry.modules)
        return same and not _grew(entry, now)


def accept(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Return the outcomes with every finding known."""
    every = {id(finding) for outcome in outcomes for finding in outcome.report.findings}
    return tuple(_with_known(outcome, every) for outcome in outcomes)


def _with_known(outcome: Outcome, known: set[int]) -> Outcome:
    findings = tuple(
        msgspec.structs.replace(finding, baseline=KNOWN) if id(finding) in known else finding
        for finding in outcome.report.findings
    )
    return replace(outcome, report=msgspec.structs.replace(outcome.report, findings=findings))


def _same(entry: Entry) -> object:
    return entry.fingerprint, entry.model


def _moved(entry: Entry) -> object:
    return entry.fingerprint


def _shrunk(entry: Entry) -> object:
    return entry.identity


def _grew(entry: Entry, now: Entry) -> bool:
    """Say whether the finding saves more than the entry, or breaks a limit by more."""
    if (now.value or 0) > (entry.value or 0):
        return True
    counted = any(key in entry.saving or key in now.saving for key in FIRST)
    keys = FIRST if counted else THEN
    return any(now.saving.get(key, 0) > entry.saving.get(key, 0) for key in keys)


# --- stale entries -------------------------------------------------------------------------


def stale(
    left: Sequence[Entry], outcomes: Sequence[Outcome], active: frozenset[str], root: Path
) -> tuple[Entry, ...]:
    """Return the entries that can go: what they knew is not found any more.

    Only where the entry's model was read in full and its rule ran on it, or its file is gone.
    An entry whose finding grew is not stale: the finding is new, and it says so.
    """
    read = {o.report.target for o in outcomes if o.report.status == "complete"}
    crashed = {(o.report.target, c.code) for o in outcomes for c in o.report.checks if c.crashed}
    still: dict[tuple[str, str], list[frozenset[str]]] = {}
    for outcome in outcomes:
        for finding in outcome.report.findings:
            key = finding.code, model_name(outcome.report.target)
            still.setdefault(key, []).append(frozenset(map(writable, finding.modules)))
    return tuple(
        entry
        for entry in left
        if entry.code in active
        and (entry.model in read or _gone(entry, root))
        and (entry.model, entry.code) not in crashed
        and not any(_overlap(entry, modules) for modules in still.get(entry.identity, ()))
    )


def _overlap(entry: Entry, modules: frozenset[str]) -> bool:
    return not modules.isdisjoint(entry.modules) or modules == frozenset(entry.modules)


def _gone(entry: Entry, root: Path) -> bool:
    file = entry.model.partition(":")[0]
    return file.endswith(".py") and not (root / file).is_file()


def kept(marked: Marked, dropped: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the entries that matched nothing and are not stale: their models were not read."""
    gone = list(dropped)
    for entry in marked.left:
        if entry in gone:
            gone.remove(entry)
        else:
            yield entry
