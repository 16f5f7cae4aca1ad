"""A whole report as a page shows it: what HTML and Markdown have in common.

Templates only loop: what may be missing is a tuple of none or one, and every choice is made
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from convlint.contract import Finding, ModelReport, RuleInfo, RunReport
from convlint.wire import Diagnostic
from convlint_reports import (
    assumptions,
    budgets,
    checks,
    data,
    modules,
    numbers,
    quantities,
    savings,
    tally,
)
from convlint_reports.budgets import BudgetRow
from convlint_reports.cards import Card, Scene, card, where
from convlint_reports.checks import Fold, Left
from convlint_reports.numbers import typographic
from convlint_reports.picture import Picture, picture
from convlint_reports.savings import Section
from convlint_reports.tables import LayerRow, TotalRow, layer_rows, total_rows
from convlint_reports.waterfall import Waterfall, waterfall
from convlint_reports.words import cleaned, cut, plural

STATUSES = ("complete", "partial", "failed", "skipped")
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


@dataclass(frozen=True, slots=True)
class Cell:
    """One amount of the overview with its change against today's."""

    text: str
    change: str
    trend: str


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One model in the table of all models."""

    anchor: str
    target: str
    status: str
    status_class: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    title: str
    tool: str
    profile: str
    headline: str
    tally: str
    counting: str
    overview: tuple[OverviewRow, ...]
    models: tuple[ModelPage, ...]
    rules: int


def page(run: RunReport, *, pictures: bool = False) -> Page:
    """Return the report as words and numbers that need no further thought.

    ``pictures`` says whether it is to hold what only a page shows: drawings and their numbers.
    """
    run = cleaned(run)
    rules = {rule.code: rule for rule in run.rules}
    models = tuple(_model(m, f"m{i}", run, rules, pictures) for i, m in enumerate(run.models, 1))
    head = headline(run)
    return Page(
        title=f"{cut(run.models[0].target)}: {head}" if len(run.models) == 1 else head,
        tool=f"{cut(run.tool.name)} {cut(run.tool.version)}",
        profile=cut(run.profile),
        headline=head,
        tally=tally.line(run),
        counting=assumptions.COUNTING,
        overview=tuple(_overview(model) for model in models),
        models=models,
        rules=len(run.rules),
    )


def headline(run: RunReport) -> str:
    """Return the verdict on the run in one line."""
    if len(run.models) == 1:
        verdict = typographic(savings.headline(run.models[0], run.base))
        return verdict[:1].upper() + verdict[1:]
    found = sum(len(savings.live(m.findings)) for m in run.models)
    failed = sum(m.status == "failed" for m in run.models)
    words = f"{plural(found, 'finding')} in {plural(len(run.models), 'model')}"
    return words + (f", {failed} could not be read" if failed else "")


def _model(
    model: ModelReport, anchor: str, run: RunReport, rules: Mapping[str, RuleInfo], pictures: bool
) -> ModelPage:
    live = savings.live(model.findings)
    scene = Scene(model.totals, rules)
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
        totals=(total_rows(model),) if read else (),
        now=f"Now, vs {cut(run.base, 40)}" if model.base is not None else "Now",
        budgets=budgets.rows(model),
        assumptions=assumptions.told(model, run.profile, rules),
        filters=_filters(live),
        groups=tuple(_groups(live, f"{anchor}-f", scene)),
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


def _overview(model: ModelPage) -> OverviewRow:
    cells = [Cell("–", "", "")] * 6
    for rows in model.totals:
        macs, params, _, _, peak = rows
        cells = [
            Cell(macs.now, "", ""),
            Cell(macs.exact, macs.exact_change, macs.exact_trend),
            Cell(macs.all, macs.all_change, macs.all_trend),
            Cell(params.now, "", ""),
            Cell(peak.now, "", ""),
            Cell(f"{model.findings:,}", "", ""),
        ]
    return OverviewRow(model.anchor, model.target, model.status, model.status_class, tuple(cells))


def _word(word: Diagnostic) -> Word:
    return Word(cut(word.code, 40), word.severity, where(word.location), word.message)


def _filters(live: tuple[Finding, ...]) -> tuple[Choice, ...]:
    """Return the choices of the filter; none where there is nothing to choose from."""
    if len(live) < 2:
        return ()
    counts = [(q, sum(q.saved(f.saving) > 0 for f in live)) for q in quantities.SORTED]
    some = [Choice(q.key, q.label, count) for q, count in counts if count]
    return (Choice("all", "Everything", len(live)), *some) if some else ()


def _groups(live: tuple[Finding, ...], prefix: str, scene: Scene) -> Iterable[CardGroup]:
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


def _parts(model: ModelReport) -> tuple[PartRow, ...]:
    divided = [part for part in modules.parts(model.layers) if part.macs]
    total = sum(part.macs for part in divided)
    rows = []
    for part in divided:
        share = numbers.share(part.macs, total)
        row = PartRow(cut(part.name), numbers.macs(part.macs), numbers.percent(share), share)
        rows.append(row)
    return tuple(rows)
