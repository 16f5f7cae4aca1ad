"""The limits declared for a model, kept or broken, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint.contract import Budget, ModelReport
from convlint_reports import numbers
from convlint_reports.words import cut

BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One limit; ``css`` is "more" where it is broken, "less" where it is kept."""

    key: str
    limit: str
    value: str
    least: str
    state: str
    css: str


def rows(model: ModelReport) -> tuple[BudgetRow, ...]:
    """Return the limits of a model, broken ones first."""
    ordered = sorted(model.budgets, key=lambda budget: budget.over <= 0)
    return tuple(_row(budget) for budget in ordered)


def _row(budget: Budget) -> BudgetRow:
    broken = budget.over > 0
    state = f"over by {amount(budget, budget.over)}" if broken else "kept"
    if broken and budget.least <= budget.most:
        state += "; the exact rewrites alone reach it"
    elif broken:
        state += "; not reached by exact rewrites alone"
    return BudgetRow(
        key=cut(budget.key, 60),
        limit=cut(budget.limit, 60),
        value=amount(budget, budget.value),
        least=amount(budget, budget.least),
        state=state,
        css="more" if broken else "less",
    )


def phrases(model: ModelReport) -> Iterator[str]:
    """Yield what the headline says of limits: "budget 32 GMACs", "over budget 30 GMACs"."""
    for budget in sorted(model.budgets, key=lambda each: each.over <= 0)[:2]:
        if budget.over > 0:
            yield f"over budget {cut(budget.limit, 40)} by {amount(budget, budget.over)}"
        else:
            yield f"budget {cut(budget.limit, 40)}"


def amount(budget: Budget, value: int) -> str:
    """Return an amount of what a limit is on."""
    if budget.quantity == "macs":
        return numbers.macs(value)
    if BYTES in budget.quantity:
        return numbers.size(value)
    return f"{numbers.si(value)} {cut(budget.quantity, 40)}"
