"""A whole report as a page shows it: what HTML and Markdown have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from convlint.contract import Finding, ModelReport, RunReport
from convlint.wire import InputSpec
from convlint_reports import modules, numbers, savings, tally
from convlint_reports.cards import Card, card, where
from convlint_reports.numbers import typographic
from convlint_reports.picture import Picture, picture
from convlint_reports.savings import Section
from convlint_reports.tables import LayerRow, TotalRow, layer_rows, total_rows
from convlint_reports.words import cleaned, cut, plural

COUNTING = (
    "MACs are multiply-accumulates of convolutions and matrix products; FLOPs = 2 × MACs. "
    "Bytes are those of the traced dtypes and the batch above."
)
STATUSES = ("complete", "partial", "failed", "skipped")
HEADINGS = {
    Section.EXACT: ("Exact", "The same outputs, and the weights still load."),
    Section.RETRAIN: ("Needs retraining", "The function changes: the accuracy has to be earned."),
    Section.NOTE: ("Hardware and other notes", "Nothing counted is saved, or only on some chips."),
}


@dataclass(frozen=True, slots=True)
class CardGroup:
    """The cards of one section."""

    mark: str
    title: str
    lead: str
    cards: tuple[Card, ...]


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
    """One model."""

    anchor: str
    target: str
    status: str
    verdict: str
    totals: tuple[TotalRow, ...]
    inputs: tuple[str, ...]
    groups: tuple[CardGroup, ...]
    silenced: tuple[Card, ...]
    picture: Picture | None
    parts: tuple[PartRow, ...]
    layers: tuple[LayerRow, ...]
    refusals: tuple[tuple[str, str, str], ...]
    failures: tuple[Word, ...]
    notices: tuple[Word, ...]
    findings: int

    @property
    def status_class(self) -> str:
        """The status where it is one of the known ones, for the style sheet."""
        return self.status if self.status in STATUSES else "unknown"


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    tool: str
    profile: str
    headline: str
    tally: str
    counting: str
    models: tuple[ModelPage, ...]
    rules: tuple[tuple[str, str, str], ...]


def page(run: RunReport, *, pictures: bool = False) -> Page:
    """Return the report as words and numbers that need no further thought."""
    run = cleaned(run)
    return Page(
        tool=f"{cut(run.tool.name)} {cut(run.tool.version)}",
        profile=cut(run.profile),
        headline=headline(run),
        tally=tally.line(run),
        counting=COUNTING,
        models=tuple(_model(m, f"m{i}", pictures) for i, m in enumerate(run.models, 1)),
        rules=tuple((cut(r.code, 40), cut(r.name), cut(r.summary, 400)) for r in run.rules),
    )


def headline(run: RunReport) -> str:
    """Return the verdict on the run in one line."""
    if len(run.models) == 1:
        verdict = typographic(savings.together(run.models[0]))
        return verdict[:1].upper() + verdict[1:]
    found = sum(len(savings.live(m.findings)) for m in run.models)
    failed = sum(m.status == "failed" for m in run.models)
    words = f"{plural(found, 'finding')} in {plural(len(run.models), 'model')}"
    return words + (f", {failed} could not be read" if failed else "")


def _model(model: ModelReport, anchor: str, pictures: bool) -> ModelPage:
    live = savings.live(model.findings)
    prefix = f"{anchor}-f"
    words = tuple(
        Word(cut(d.code, 40), d.severity, where(d.location), d.message) for d in model.diagnostics
    )
    return ModelPage(
        anchor=anchor,
        target=cut(model.target),
        status=cut(model.status, 40),
        verdict=typographic(savings.together(model)),
        totals=() if model.status == "failed" else total_rows(model),
        inputs=tuple(_input(spec) for spec in model.inputs),
        groups=tuple(_groups(live, prefix)),
        silenced=tuple(
            card(f, f"{anchor}-s{i}") for i, f in enumerate(savings.silent(model.findings), 1)
        ),
        picture=picture(model) if pictures else None,
        parts=_parts(model),
        layers=layer_rows(model, prefix),
        refusals=tuple(
            (f"{cut(r.code, 40)} {cut(r.name)}", cut(r.module) or "(root)", r.reason)
            for r in model.refusals
        ),
        failures=tuple(word for word in words if word.severity == "error"),
        notices=tuple(word for word in words if word.severity != "error"),
        findings=len(live),
    )


def _groups(live: tuple[Finding, ...], prefix: str) -> Iterable[CardGroup]:
    numbered = tuple(enumerate(live, 1))
    for kind, (title, lead) in HEADINGS.items():
        cards = tuple(
            card(f, f"{prefix}{number}") for number, f in numbered if savings.section(f) is kind
        )
        if cards:
            yield CardGroup(kind.value, title, lead, cards)


def _input(spec: InputSpec) -> str:
    name = f"{cut(spec.label)}: " if spec.label else ""
    text = f"{name}{numbers.shape(spec.shape, '×')} {cut(spec.dtype, 40)}, {spec.origin}"
    if spec.origin == "inferred":
        return f"{text}: an assumption; --input or the configuration sets it"
    at = spec.found_at
    return f"{text} at {cut(at.path)}:{at.line}" if at else text


def _parts(model: ModelReport) -> tuple[PartRow, ...]:
    divided = [part for part in modules.parts(model.layers) if part.macs]
    total = sum(part.macs for part in divided)
    rows = []
    for part in divided:
        share = numbers.share(part.macs, total)
        row = PartRow(cut(part.name), numbers.macs(part.macs), numbers.percent(share), share)
        rows.append(row)
    return tuple(rows)
