"""A whole report as a page shows it: the verdict, the table of all models, each model."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.contract import RunReport
from convlint_reports import assumptions, savings, tally
from convlint_reports.modelpage import ModelPage, modelpage
from convlint_reports.numbers import typographic
from convlint_reports.words import cleaned, cut, plural


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
    models = tuple(modelpage(m, f"m{i}", run, rules, pictures) for i, m in enumerate(run.models, 1))
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
