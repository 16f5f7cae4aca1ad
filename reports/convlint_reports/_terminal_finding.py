"""One finding on the terminal: its first line, its code, what it saves and how."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convlint.contract import Finding, ModelReport, View
from convlint.ir.nodes import SourceSpan
from convlint_reports import related, savings
from convlint_reports.frame import FrameLine, frame
from convlint_reports.words import cut, plural

STYLE = {"error": "bold red", "warning": "yellow", "info": "cyan"}
MODULES = 12
LABEL = 9
GUTTER = 7


def first_line(model: ModelReport, at: SourceSpan | None, text: str) -> str:
    """Return ``path:line:col: text``; without a location the target stands in its place."""
    place = f"{at.path}:{at.line}:{at.column}" if at else cut(model.target)
    return f"{place}: {text}"


def write(console: Console, model: ModelReport, finding: Finding, view: View) -> None:
    """Print one finding."""
    if view.quiet:
        console.print(_head(model, finding), soft_wrap=True)
        return
    console.print()
    console.print(_head(model, finding), soft_wrap=True)
    _code(console, frame(finding))
    for label, words in _facts(finding):
        _fact(console, label, words)


def _head(model: ModelReport, finding: Finding) -> Text:
    line = Text(first_line(model, finding.location, f"{finding.code} {finding.name}"), "bold")
    line.append(f" [{finding.severity.value}]", style=STYLE[finding.severity.value])
    gain = savings.main(finding.saving, model.totals)
    line.append(f" saves {gain}" if gain else "", style="not bold")
    if finding.suppressed is not None:
        line.append(" (suppressed)", style="dim")
    elif finding.baseline == "known":
        line.append(" (in the baseline)", style="dim")
    return line


def _code(console: Console, lines: tuple[FrameLine, ...]) -> None:
    if not lines:
        return
    gutter = max(GUTTER, *(len(str(line.number)) for line in lines))
    room = max(20, console.width - gutter - 3)
    for line in lines:
        row = Text(f"{line.number:>{gutter}} | ", style="blue")
        row.append(cut(line.text, room), style="default")
        console.print(row, soft_wrap=True)
        start = min(cell_len(line.before), room)
        carets = "^" * min(cell_len(line.marked), room - start)
        if carets:
            row = Text(f"{'':>{gutter}} | ", style="blue")
            row.append(" " * start + carets, style="bold red")
            console.print(row, soft_wrap=True)


def _fact(console: Console, label: str, words: str) -> None:
    """Print a labelled paragraph; code to write keeps its lines, however long."""
    if label == "write":
        for number, line in enumerate(words.split("\n")):
            row = Text(f"{'' if number else label:>{LABEL}} ", style="dim")
            row.append(line, style="not dim")
            console.print(row, soft_wrap=True)
        return
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=LABEL, justify="right", style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(label), Text(words))
    console.print(table)


def _facts(finding: Finding) -> Iterator[tuple[str, str]]:
    yield "why", finding.message
    kind = "same outputs" if finding.exact else "needs retraining"
    if savings.section(finding) is savings.Section.NOTE:
        kind = "a note"
    if finding.budget is None:
        yield "saves", f"{savings.words(finding.saving)} ({kind}; counted alone)"
        yield "modules", _modules(finding)
    for other in finding.alternatives:
        yield "or", f"{other.label}: saves {savings.words(other.saving)}"
    if savings.bound(finding):
        yield "bound", savings.bound(finding)
    if finding.instead:
        yield "write", finding.instead.rstrip("\n")
    if finding.risk:
        yield "risk", finding.risk
    for line in related.told(finding):
        yield "see", line
    if finding.suppressed:
        yield "silenced", finding.suppressed
    yield "rule", f"convlint rule {finding.code}, docs/rules/{finding.name}.md"


def _modules(finding: Finding) -> str:
    names = finding.module_groups or finding.modules
    listed = ", ".join(cut(name) or "(root)" for name in names[:MODULES])
    hidden = len(names) - MODULES
    return f"{listed}, and {plural(hidden, 'more group')}" if hidden > 0 else listed
