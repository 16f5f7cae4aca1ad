"""The cost tables for the terminal; loaded only when they are rendered, with rich.

Everything this module writes itself is ASCII, so that a log in any encoding holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from convlint.contract import View
from convlint.costs import CostReport, CostRow, ModelCosts
from convlint_reports import _terminal, costcells, numbers
from convlint_reports.words import cleaned, cut

ASIDE = 4
LINES = 40


def render(report: CostReport, view: View) -> str:
    """Return the tables."""
    return _terminal.printed(lambda console: _screen(console, cleaned(report), view), view)


def _screen(console: Console, report: CostReport, view: View) -> None:
    if not view.quiet:
        console.print(costcells.COUNTING, style="dim", soft_wrap=True)
    if len(report.models) > 1:
        console.print()
        console.print(_aside(report) if len(report.models) <= ASIDE else _below(report))
    for model in report.models:
        if report.tables or model.status == "failed":
            _model(console, report, model, view)


def _model(console: Console, report: CostReport, model: ModelCosts, view: View) -> None:
    _head(console, model)
    if model.status == "failed":
        return
    times = costcells.timed(report, model)
    for line in (*costcells.facts(model), costcells.bound(report, model), *times):
        console.print(f"  {line}", soft_wrap=True)
    console.print()
    if model.peer is not None:
        _peer(console, model, view)
        return
    first = "layer" if report.grouping == "node" else report.grouping
    if first != "kind":
        console.print(_table(first, model.rows))
        console.print()
    console.print(_table("kind", model.rows if first == "kind" else model.kinds))


def _head(console: Console, model: ModelCosts) -> None:
    console.print()
    line = Text(cut(model.target), style="bold")
    line.append(f"  {model.status}", style=_terminal.STATUS.get(model.status, ""))
    console.print(line, soft_wrap=True)
    for spec in model.inputs:
        console.print(f"  {_terminal.input_line(spec)}", style="dim", soft_wrap=True)
    for word in model.diagnostics:
        at = f"{word.location.path}:{word.location.line}: " if word.location else ""
        console.print(f"  {at}{word.code} [{word.severity}] {word.message}", soft_wrap=True)


def _table(first: str, rows: Sequence[CostRow]) -> Table:
    table = _empty(first)
    kinds = first == "kind"
    for heading in costcells.HEADINGS[kinds:]:
        text = heading in ("kind", "bound by")
        table.add_column(heading, justify="left" if text else "right", no_wrap=True)
    for row in rows:
        name = row.kind if kinds else costcells.name(row)
        table.add_row(Text(name), *map(Text, costcells.cells(row)[kinds:]))
    return table


def _empty(first: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    table.add_column(first, overflow="fold")
    return table


def _aside(report: CostReport) -> Table:
    table = _empty("")
    for model in report.models:
        table.add_column(Text(model.target), justify="right")
    if len(report.models) == 2:
        table.add_column("second / first", justify="right")
    for line in costcells.side_by_side(report):
        ratio = (line.ratio or "-",) if len(report.models) == 2 else ()
        table.add_row(line.label, *map(Text, line.cells), *ratio)
    return table


def _below(report: CostReport) -> Table:
    """Many models: one row each."""
    lines = costcells.side_by_side(report)
    table = _empty("model")
    for line in lines:
        table.add_column(line.label, justify="right")
    for place, model in enumerate(report.models):
        table.add_row(Text(model.target), *(Text(line.cells[place]) for line in lines))
    return table


def _peer(console: Console, model: ModelCosts, view: View) -> None:
    for line in costcells.peer_words(model):
        console.print(f"  {line}", soft_wrap=True)
    assert model.peer is not None
    console.print()
    table = _empty("where")
    for heading in ("kind", "difference"):
        table.add_column(heading, justify="right" if heading == "difference" else "left")
    table.add_column("why", overflow="fold")
    shown = model.peer.lines if view.verbose else model.peer.lines[:LINES]
    for one in shown:
        change = costcells.signed(one.theirs - one.ours)
        table.add_row(Text(costcells.peer_place(one)), one.kind, change, Text(one.why))
    console.print(table)
    hidden = len(model.peer.lines) - len(shown)
    if hidden:
        console.print(f"  and {numbers.si(hidden)} more lines; -v shows them")
