"""What a run is compared with: the same models in another revision, paired by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from convlint.contract import ModelReport
from convlint.gate.baseline import model_name
from convlint.gate.outcome import Outcome
from convlint.wire import Diagnostic

UNREAD_BASE = "CL909"
Pair = tuple[ModelReport | None, ModelReport | None]


def pair(base: Sequence[ModelReport], head: Sequence[ModelReport]) -> tuple[Pair, ...]:
    """Return (then, now) for every model, None where there is no other; in the order of ``head``.

    Models pair by target; then by name where only one of each is left, as when a file was
    renamed; then by file likewise, as when arguments changed. Two
    models that are all there is are a pair whatever they are called.
    """
    then: dict[int, ModelReport] = {}
    left = {id(model): model for model in base}
    for key in (_target, _name, _file):
        for old, new in _matches(key, tuple(left.values()), [m for m in head if id(m) not in then]):
            then[id(new)] = left.pop(id(old))
    if len(base) == len(head) == 1 and left:
        then[id(head[0])] = left.pop(id(base[0]))
    pairs: list[Pair] = [(then.get(id(model)), model) for model in head]
    return (*pairs, *((old, None) for old in left.values()))


def _matches(
    key: Callable[[ModelReport], str], base: Sequence[ModelReport], head: Sequence[ModelReport]
) -> Iterator[tuple[ModelReport, ModelReport]]:
    """Yield the models with equal keys: in order by target, else where one of each has it."""
    olds, news = _grouped(key, base), _grouped(key, head)
    for name, found in news.items():
        others = olds.get(name, [])
        if key is _target or len(found) == len(others) == 1:
            yield from zip(others, found, strict=False)


def _grouped(
    key: Callable[[ModelReport], str], models: Sequence[ModelReport]
) -> dict[str, list[ModelReport]]:
    groups: dict[str, list[ModelReport]] = {}
    for model in models:
        groups.setdefault(key(model), []).append(model)
    return groups


def with_base(outcomes: Sequence[Outcome], base: Sequence[ModelReport]) -> tuple[Outcome, ...]:
    """Return the outcomes with the totals that their models had in the base."""
    head = [outcome.report for outcome in outcomes]
    then = {id(now): old for old, now in pair(base, head) if now is not None}
    return tuple(_with(outcome, then.get(id(outcome.report))) for outcome in outcomes)


def _with(outcome: Outcome, old: ModelReport | None) -> Outcome:
    if old is None:
        return outcome
    if old.status not in ("complete", "partial"):
        what = "the model could not be read in the base: all its findings count as new"
        words = (*outcome.report.diagnostics, Diagnostic(UNREAD_BASE, what, "warning"))
        return replace(outcome, report=msgspec.structs.replace(outcome.report, diagnostics=words))
    return replace(outcome, report=msgspec.structs.replace(outcome.report, base=old.totals))


def _target(model: ModelReport) -> str:
    return model.target


def _name(model: ModelReport) -> str:
    return model_name(model.target)


def _file(model: ModelReport) -> str:
    return model.target.partition(":")[0]
