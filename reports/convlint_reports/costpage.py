"""The cost tables as a page shows them: every cell a word, nothing left to decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from convlint.costs import CostReport, CostRow, ModelCosts
from convlint_reports import costcells

_NUMERIC = ("MACs", "%", "params", "moved", "MACs/byte")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; ``css`` is "n" where it holds a number."""

    text: str
    css: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row under its name."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``title`` stands above it, and names it for who cannot see it."""

    title: str
    headings: tuple[Cell, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class CostModel:
    """One model: sentences, tables, and a last sentence."""

    target: str
    status: str
    words: tuple[tuple[str, str, str], ...]
    facts: tuple[str, ...]
    tables: tuple[Table, ...]
    closing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CostPage:
    """The whole page."""

    tool: str
    title: str
    aside: tuple[Table, ...]
    models: tuple[CostModel, ...]
    counting: str


def costpage(report: CostReport) -> CostPage:
    """Return the cost report as words."""
    many = len(report.models) > 1
    return CostPage(
        tool=f"{report.tool.name} {report.tool.version}",
        title="What they cost" if many else "What it costs",
        aside=(_aside(report),) if many else (),
        models=tuple(_model(report, model) for model in report.models),
        counting=costcells.COUNTING,
    )


def _aside(report: CostReport) -> Table:
    headings = (Cell("Quantity", ""), *(Cell(model.target, "n") for model in report.models))
    rows = tuple(
        Row(line.label, tuple(Cell(text, "n") for text in line.cells))
        for line in costcells.side_by_side(report)
    )
    return Table("Models side by side", headings, rows)


def _model(report: CostReport, model: ModelCosts) -> CostModel:
    read = model.status != "failed"
    return CostModel(
        target=model.target,
        status=model.status,
        words=tuple((word.severity, word.code, word.message) for word in model.diagnostics),
        facts=(*costcells.facts(model), *costcells.peer_words(model)) if read else (),
        tables=tuple(_tables(report, model)) if read else (),
        closing=(costcells.bound(report, model),) if read else (),
    )


def _tables(report: CostReport, model: ModelCosts) -> Iterator[Table]:
    if model.peer is not None:
        yield _peer(model)
    if report.tables:
        title = "Layers" if report.grouping == "node" else f"By {report.grouping}"
        yield _costs(title, "Name", model.rows)
    yield _costs("By kind", "", model.kinds)


def _costs(title: str, first: str, rows: Sequence[CostRow]) -> Table:
    """Return a table of costs; without a first heading the kind is the name of a row."""
    headings = costcells.HEADINGS if first else costcells.HEADINGS[1:]
    named = (Cell(first or "kind", ""), *(Cell(text, _css(text)) for text in headings))
    body = []
    for row in rows:
        cells = costcells.cells(row)
        name, shown = (costcells.name(row), cells) if first else (cells[0], cells[1:])
        marked = (Cell(text, _css(head)) for text, head in zip(shown, headings, strict=True))
        body.append(Row(name, tuple(marked)))
    return Table(title, named, tuple(body))


def _css(heading: str) -> str:
    return "n" if heading in _NUMERIC else ""


def _peer(model: ModelCosts) -> Table:
    assert model.peer is not None
    headings = (Cell("Where", ""), Cell("Kind", ""), Cell("Difference", "n"), Cell("Why", ""))
    rows = tuple(
        Row(
            costcells.peer_place(line),
            (
                Cell(line.kind, ""),
                Cell(costcells.signed(line.theirs - line.ours), "n"),
                Cell(line.why, ""),
            ),
        )
        for line in model.peer.lines
    )
    return Table(f"What {model.peer.tool} would say", headings, rows)
