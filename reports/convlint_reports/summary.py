"""The report in a bounded number of rows: the view model of the Markdown report."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convlint_reports.cards import Card
from convlint_reports.page import ModelPage, Page, PartRow, Word
from convlint_reports.tables import LayerRow, TotalRow
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


@dataclass(frozen=True, slots=True)
class Row:
    """One finding: its card with what a table of findings needs."""

    card: Card
    kind: str
    modules: str
    code: str
    more: str


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model, cut to an amount."""

    target: str
    status: str
    verdict: str
    inputs: tuple[str, ...]
    totals: tuple[TotalRow, ...]
    findings: int
    failures: tuple[Word, ...]
    rows: tuple[Row, ...]
    rows_more: str
    details: tuple[Row, ...]
    bars: str
    layers: tuple[LayerRow, ...]
    layers_more: str
    layer_count: int
    notices: tuple[Word, ...]
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
    models: tuple[ModelSummary, ...]
    model_count: int
    models_more: str


def summary(whole: Page, amount: Amount) -> Summary:
    """Return the page cut to an amount."""
    hidden = len(whole.models) - amount.models
    return Summary(
        headline=whole.headline,
        tally=whole.tally,
        counting=whole.counting,
        tool=whole.tool,
        profile=whole.profile,
        rules=plural(len(whole.rules), "rule") if whole.rules else "",
        models=tuple(_model(model, amount) for model in whole.models[: amount.models]),
        model_count=len(whole.models),
        models_more=plural(hidden, "more model") if hidden > 0 else "",
    )


def _model(model: ModelPage, amount: Amount) -> ModelSummary:
    rows = [_row(card, g.title.lower(), amount) for g in model.groups for card in g.cards]
    shown = tuple(rows[: amount.findings])
    layers = model.layers[: amount.layers]
    return ModelSummary(
        target=cut(model.target, amount.text),
        status=model.status,
        verdict=model.verdict,
        inputs=tuple(cut(text, amount.text) for text in model.inputs[:4]),
        totals=model.totals,
        findings=model.findings,
        failures=_words(model.failures, amount),
        rows=shown,
        rows_more=_more(len(rows) - len(shown), "more finding"),
        details=shown[: amount.details],
        bars=bars(model.parts),
        layers=layers,
        layers_more=_more(len(model.layers) - len(layers), "more layer"),
        layer_count=len(model.layers),
        notices=_words(model.notices, amount),
        notice_count=len(model.notices),
    )


def _more(hidden: int, noun: str) -> str:
    return plural(hidden, noun) if hidden > 0 else ""


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
        instead=cut(card.instead, limit),
        risk=cut(card.risk, limit),
        alternatives=tuple((cut(label, limit), saves) for label, saves in card.alternatives[:4]),
    )
    names = ", ".join(card.modules)
    code = "\n".join(cut(line.text, limit) for line in card.frame)
    return Row(short, kind, cut(names, min(limit, 200)), code, f"convlint rule {card.code}")


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
