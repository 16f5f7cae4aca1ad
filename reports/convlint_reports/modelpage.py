"""One model as a page shows it: what HTML and Markdown have in common.

Templates only loop: what may be missing is a tuple of none or one, and every choice is made
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convlint.contract import ModelReport, RuleInfo, RunReport
from convlint.wire import Diagnostic
from convlint_reports import assumptions, budgets, checks, data, modules, numbers, savings
from convlint_reports.budgets import BudgetRow
from convlint_reports.cards import Card, Scene, card, where
from convlint_reports.checks import Fold, Left
from convlint_reports.numbers import typographic
from convlint_reports.picture import Picture, picture
from convlint_reports.sections import CardGroup, Choice, filters, groups
from convlint_reports.tables import LayerRow, TotalRow, layer_rows, total_rows
from convlint_reports.waterfall import Waterfall, waterfall
from convlint_reports.words import cut

STATUSES = ("complete", "partial", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part of the model in a list of shares; ``share`` counts in percent."""

    name: str
    macs: str
    percent: str
    share: float


@dataclass(frozen=True, slots=True)
class Word:
    """One diagnostic."""

    code: str
    severity: str
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class ModelPage:
    """One model. ``totals``, ``pictures`` and ``waterfalls`` hold none or one."""

    anchor: str
    target: str
    status: str
    status_class: str
    headline: str
    verdict: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    totals: tuple[tuple[TotalRow, ...], ...]
    now: str
    budgets: tuple[BudgetRow, ...]
    assumptions: tuple[str, ...]
    filters: tuple[Choice, ...]
    groups: tuple[CardGroup, ...]
    waterfalls: tuple[Waterfall, ...]
    pictures: tuple[Picture, ...]
    parts: tuple[PartRow, ...]
    layers: tuple[LayerRow, ...]
    data: str
    checks: tuple[Fold, ...]
    left: tuple[Left, ...]
    silenced: tuple[Card, ...]
    failures: tuple[Word, ...]
    notices: tuple[Word, ...]
    findings: int

    @property
    def limits(self) -> tuple[tuple[BudgetRow, ...], ...]:
        """The table of limits, none where none is declared."""
        return (self.budgets,) if self.budgets else ()

    @property
    def tables(self) -> tuple[tuple[LayerRow, ...], ...]:
        """The layer table, none where there are no layers."""
        return (self.layers,) if self.layers else ()

    @property
    def refused(self) -> tuple[tuple[Left, ...], ...]:
        """The list of places left alone, none where it is empty."""
        return (self.left,) if self.left else ()

    @property
    def silent(self) -> tuple[tuple[Card, ...], ...]:
        """The list of silenced findings, none where it is empty."""
        return (self.silenced,) if self.silenced else ()


def modelpage(
    model: ModelReport, anchor: str, run: RunReport, rules: Mapping[str, RuleInfo], pictures: bool
) -> ModelPage:
    """Return the page of a model of ``run``; ``anchor`` begins the anchors of its parts."""
    live = savings.live(model.findings)
    scene = Scene(model.target, model.totals, rules)
    silent = enumerate(savings.silent(model.findings), 1)
    told = [word for word in model.diagnostics if not checks.crashed_rule(word, rules)]
    drawn = picture(model) if pictures else None
    falls = waterfall(model)
    read = model.status not in ("failed", "skipped")
    return ModelPage(
        anchor=anchor,
        target=cut(model.target),
        status=cut(model.status, 40),
        status_class=model.status if model.status in STATUSES else "unknown",
        headline=typographic(savings.headline(model, run.base)),
        verdict=typographic(savings.together(model)),
        inputs=tuple(assumptions.input_words(spec) for spec in model.inputs[:4]),
        outputs=tuple(assumptions.outputs_read(model)),
        totals=(total_rows(model),) if read else (),
        now=f"Now, vs {cut(run.base, 40)}" if model.base is not None else "Now",
        budgets=budgets.rows(model),
        assumptions=assumptions.told(model, run.profile, rules),
        filters=filters(live),
        groups=tuple(groups(live, f"{anchor}-f", scene)),
        waterfalls=(falls,) if falls else (),
        pictures=(drawn,) if drawn else (),
        parts=_parts(model),
        layers=layer_rows(model, anchor),
        data=data.data(model) if pictures and model.layers else "",
        checks=checks.folds(model, rules),
        left=checks.left_alone(model.refusals),
        silenced=tuple(card(f, f"{anchor}-s{i}", scene) for i, f in silent),
        failures=tuple(_word(word) for word in told if word.severity == "error"),
        notices=tuple(_word(word) for word in told if word.severity != "error"),
        findings=len(live),
    )


def _word(word: Diagnostic) -> Word:
    return Word(cut(word.code, 40), word.severity, where(word.location), word.message)


def _parts(model: ModelReport) -> tuple[PartRow, ...]:
    divided = [part for part in modules.parts(model.layers) if part.macs]
    total = sum(part.macs for part in divided)
    rows = []
    for part in divided:
        share = numbers.share(part.macs, total)
        row = PartRow(cut(part.name), numbers.macs(part.macs), numbers.percent(share), share)
        rows.append(row)
    return tuple(rows)
