"""From today's cost to the cost after all exact rewrites, one bar a rewrite.

The rewrites are made one after the other, each on the model that the last one left: what a
step saves here may be less than its finding saves alone, and the steps add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convlint.contract import ModelReport, Step, Totals
from convlint_reports import numbers, quantities, savings
from convlint_reports.numbers import typographic
from convlint_reports.quantities import Quantity
from convlint_reports.words import cut, plural

GROUPS = 4
ROOM = 0.25
"""The least share of the axis that the whole saving takes."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: ``left`` and ``width`` place its bar on the axis, in percent.

    ``cells`` are the quantities after this step with their change in it.
    """

    label: str
    modules: str
    css: str
    left: str
    width: str
    cells: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The rows, the quantity that the bars show, and both ends of its axis."""

    quantity: str
    low: str
    high: str
    headings: tuple[str, ...]
    bars: tuple[Bar, ...]


def waterfall(model: ModelReport) -> Waterfall | None:
    """Return the waterfall of a model, None where no exact rewrite changes anything."""
    exact, _ = savings.after(model)
    steps = model.steps or _one_step(model, exact)
    if not steps:
        return None
    shown = _shown(model.totals, exact)
    levels = [shown.total(t) for t in (model.totals, *(step.totals for step in steps))]
    low, high = _axis(levels)
    before = (model.totals, *(step.totals for step in steps))
    rows = [_whole("Now", model.totals, model.totals, shown, (low, high))]
    rows += [
        _step(step, then, shown, (low, high)) for step, then in zip(steps, before, strict=False)
    ]
    rows.append(_whole("After exact rewrites", steps[-1].totals, model.totals, shown, (low, high)))
    return Waterfall(
        quantity=shown.label,
        low=shown.form(low),
        high=shown.form(high),
        headings=tuple(q.label for q in quantities.TOTALS),
        bars=tuple(rows),
    )


def _one_step(model: ModelReport, exact: Totals) -> tuple[Step, ...]:
    """Return all exact rewrites as one step, for a report that does not list them."""
    found = [f for f in model.findings if savings.section(f) is savings.Section.EXACT]
    if exact == model.totals or not found:
        return ()
    codes = ", ".join(dict.fromkeys(f.code for f in found))
    modules = tuple(dict.fromkeys(m for f in found for m in f.module_groups or f.modules))
    return (Step(codes, "all exact rewrites", modules, exact),)


def _shown(now: Totals, then: Totals) -> Quantity:
    """Return what the bars show: the first quantity that falls by a percent, or falls most."""
    falls = [(quantity, _fall(quantity, now, then)) for quantity in quantities.MAIN]
    first = next((quantity for quantity, fall in falls if fall >= 1), None)
    return first or max(falls, key=lambda each: each[1])[0]


def _fall(quantity: Quantity, now: Totals, then: Totals) -> float:
    return numbers.share(quantity.total(now) - quantity.total(then), quantity.total(now))


def _axis(levels: Sequence[int]) -> tuple[int, int]:
    """Return the ends of the axis: from 0, or from later where the changes would not be seen."""
    low, high = min(levels), max(levels)
    if high - low >= ROOM * high:
        return 0, high
    return max(0, round(high - (high - low) / ROOM)), high


def _whole(label: str, at: Totals, now: Totals, shown: Quantity, axis: tuple[int, int]) -> Bar:
    left, width = _place(axis[0], shown.total(at), axis)
    return Bar(label, "", "whole", left, width, _cells(at, now))


def _step(step: Step, before: Totals, shown: Quantity, axis: tuple[int, int]) -> Bar:
    old, new = shown.total(before), shown.total(step.totals)
    left, width = _place(min(old, new), max(old, new), axis)
    names = step.module_groups or step.modules
    more = f" and {plural(len(names) - GROUPS, 'more group')}" if len(names) > GROUPS else ""
    return Bar(
        label=f"{cut(step.code, 40)} {cut(step.name)}",
        modules=", ".join(cut(name, 80) or "(root)" for name in names[:GROUPS]) + more,
        css="more" if new > old else "less",
        left=left,
        width=width,
        cells=_cells(step.totals, before),
    )


def _place(start: int, stop: int, axis: tuple[int, int]) -> tuple[str, str]:
    span = (axis[1] - axis[0]) or 1
    left, width = 100 * (start - axis[0]) / span, 100 * (stop - start) / span
    return f"{min(left, 99.7):.2f}%", f"{max(width, 0.3):.2f}%"


def _cells(at: Totals, before: Totals) -> tuple[tuple[str, str, str], ...]:
    """Return (amount, change, "less" | "more" | "equal") for each quantity of the totals."""
    cells = []
    for quantity in quantities.TOTALS:
        new, old = quantity.total(at), quantity.total(before)
        trend = "less" if new < old else "more" if new > old else "equal"
        change = "" if new == old else typographic(numbers.change(old, new))
        cells.append((quantity.cell(new), change, trend))
    return tuple(cells)
