"""The report in a bounded number of rows: the view model of the Markdown report."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convlint_reports import _markup
from convlint_reports.budgets import BudgetRow
from convlint_reports.cards import Card
from convlint_reports.checks import Fold
from convlint_reports.modelpage import ModelPage, PartRow, Word
from convlint_reports.page import OverviewRow, Page
from convlint_reports.tables import LayerRow, TotalRow
from convlint_reports.waterfall import Waterfall
from convlint_reports.words import cut, plural

BAR = 30
PARTS = 16


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is shown of a model and of the run; what is over is cut, with a count."""

    models: int
    findings: int
    details: int
    layers: int
    notes: int
    text: int
    link_base: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One finding: its card with what a table of findings needs; lists hold none or one."""

    card: Card
    place: str
    kind: str
    modules: str
    saves: str
    codes: tuple[str, ...]
    instead: tuple[str, ...]
    risks: tuple[str, ...]
    bounds: tuple[str, ...]
    more: str


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model, cut to an amount; what may be missing is a list of none or one."""

    target: str
    status: str
    verdict: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    now: str
    totals: tuple[tuple[TotalRow, ...], ...]
    limits: tuple[tuple[BudgetRow, ...], ...]
    failures: tuple[Word, ...]
    tables: tuple[tuple[Row, ...], ...]
    rows_more: tuple[str, ...]
    details: tuple[Row, ...]
    waterfalls: tuple[Waterfall, ...]
    steps_more: tuple[str, ...]
    charts: tuple[str, ...]
    layer_tables: tuple[tuple[LayerRow, ...], ...]
    layers_more: tuple[str, ...]
    layer_count: int
    checks: tuple[Fold, ...]
    assumptions: tuple[str, ...]
    notes: tuple[tuple[Word, ...], ...]
    notice_count: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole run, cut to an amount."""

    headline: str
    tally: str
    counting: str
    tool: str
    profile: str
    rules: str
    overviews: tuple[tuple[OverviewRow, ...], ...]
    models: tuple[ModelSummary, ...]
    models_more: tuple[str, ...]


def summary(whole: Page, amount: Amount) -> Summary:
    """Return the page cut to an amount."""
    overview = tuple(
        replace(row, target=cut(row.target, amount.text)) for row in whole.overview[: amount.models]
    )
    return Summary(
        headline=whole.headline,
        tally=whole.tally,
        counting=whole.counting,
        tool=whole.tool,
        profile=whole.profile,
        rules=f", {plural(whole.rules, 'rule')} checked" if whole.rules else "",
        overviews=(overview,) if len(whole.models) > 1 else (),
        models=tuple(_model(model, amount) for model in whole.models[: amount.models]),
        models_more=_more(len(whole.models) - amount.models, "more model"),
    )


def _model(model: ModelPage, amount: Amount) -> ModelSummary:
    rows = [_row(card, g.title.lower(), amount) for g in model.groups for card in g.cards]
    shown = tuple(rows[: amount.findings])
    layers = model.layers[: amount.layers]
    chart = bars(model.parts)
    steps = 2 + 2 * amount.details
    notes = _words(model.notices, amount)
    return ModelSummary(
        target=cut(model.target, amount.text),
        status=model.status,
        verdict=model.verdict,
        inputs=tuple(cut(text, amount.text) for text in model.inputs),
        outputs=tuple(cut(text, amount.text) for text in model.outputs),
        now=model.now,
        totals=_spaced(model.totals),
        limits=model.limits,
        failures=_words(model.failures, amount),
        tables=(shown,) if shown else (),
        rows_more=_more(len(rows) - len(shown), "more finding"),
        details=shown[: amount.details],
        waterfalls=_cut_falls(model.waterfalls, steps) if amount.details else (),
        steps_more=_more(max(0, *(len(f.bars) - steps for f in model.waterfalls), 0), "more step"),
        charts=(chart,) if chart else (),
        layer_tables=(layers,) if layers else (),
        layers_more=_more(len(model.layers) - len(layers), "more layer"),
        layer_count=len(model.layers),
        checks=model.checks if amount.details else (),
        assumptions=tuple(cut(text, amount.text) for text in model.assumptions),
        notes=(notes,) if amount.notes else (),
        notice_count=len(model.notices) + len(model.assumptions),
    )


def _spaced(totals: tuple[tuple[TotalRow, ...], ...]) -> tuple[tuple[TotalRow, ...], ...]:
    """Put an arrow and a space before what changed since the base, to follow the amount."""
    arrows = {"less": " ↓ ", "more": " ↑ ", "equal": " "}
    return tuple(
        tuple(
            replace(row, now_change=arrows.get(row.now_trend, "") + row.now_change) for row in rows
        )
        for rows in totals
    )


def _more(hidden: int, noun: str) -> tuple[str, ...]:
    return (plural(hidden, noun),) if hidden > 0 else ()


def _cut_falls(falls: tuple[Waterfall, ...], steps: int) -> tuple[Waterfall, ...]:
    """Keep the first rows and the last, which is the sum of all."""
    return tuple(
        replace(f, bars=(*f.bars[: steps - 1], f.bars[-1])) if len(f.bars) > steps else f
        for f in falls
    )


def _words(words: tuple[Word, ...], amount: Amount) -> tuple[Word, ...]:
    limit = amount.text
    return tuple(
        replace(word, message=cut(word.message, limit), place=cut(word.place, limit))
        for word in words[: amount.notes]
    )


def _row(card: Card, kind: str, amount: Amount) -> Row:
    limit = amount.text
    short = replace(
        card,
        name=cut(card.name, limit),
        place=cut(card.place, limit),
        message=cut(card.message, limit),
        alternatives=tuple((cut(label, limit), saves) for label, saves in card.alternatives[:4]),
    )
    before = [block for block in card.blocks if block.label == "Now"]
    lines = [cut(x.before + x.marked + x.after, limit) for block in before for x in block.lines]
    at, place = card.location, _markup.cell(short.place)
    return Row(
        card=short,
        place=_markup.link(place, amount.link_base, at.path, at.line) if at else place,
        kind=kind,
        modules=cut(", ".join(card.modules), min(limit, 200)),
        saves=card.main or "–",
        codes=("\n".join(lines),) if lines else (),
        instead=(cut(card.instead, limit),) if card.instead else (),
        risks=(cut(card.risk, limit),) if card.risk else (),
        bounds=(card.bound[0].upper() + card.bound[1:],) if card.bound else (),
        more=f"convlint rule {card.code}",
    )


def bars(parts: tuple[PartRow, ...]) -> str:
    """Return where the MACs are as bars of text, in execution order."""
    kept = sorted(parts, key=lambda part: -part.share)[:PARTS]
    rows = [part for part in parts if part in kept][:PARTS]
    width = max((len(cut(row.name, 32)) for row in rows), default=0)
    lines = [f"{cut(r.name, 32):<{width}}  {_bar(r.share):<{BAR}} {r.percent:>7}" for r in rows]
    hidden = len(parts) - len(rows)
    return "\n".join([*lines, *([f"and {hidden:,} smaller"] if hidden else [])])


def _bar(share: float) -> str:
    """Return a bar in eighths of a character; 100 % fills it."""
    full, rest = divmod(round(share / 100 * BAR * 8), 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
