"""How the text report is laid out; loaded only when one is rendered, with rich.

Everything this module writes itself is ASCII, so that a log in any encoding holds it.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from convlint.contract import Finding, ModelReport, RunReport, View
from convlint.wire import Diagnostic, InputSpec
from convlint_reports import _terminal_finding as block
from convlint_reports import assumptions, budgets, nextstep, numbers, savings, tally
from convlint_reports.words import cleaned, cut

COUNTING = "MACs = multiply-accumulates of convolutions and matrix products; FLOPs = 2 x MACs"
STATUS = {"complete": "green", "partial": "yellow", "failed": "bold red"}


def render(run: RunReport, view: View) -> str:
    """Return the whole screen."""
    return printed(lambda console: _screen(console, cleaned(run), view), view)


def printed(write: Callable[[Console], None], view: View) -> str:
    """Return what ``write`` prints on a console that looks as ``view`` says."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(view.width, 40),
        force_terminal=view.color,
        color_system="standard" if view.color else None,
        no_color=not view.color,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )
    write(console)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


def _screen(console: Console, run: RunReport, view: View) -> None:
    if not view.quiet:
        console.print(f"{run.tool.name} {run.tool.version}, profile {run.profile}", soft_wrap=True)
        console.print(COUNTING, style="dim", soft_wrap=True)
    for model in run.models:
        if not view.quiet:
            console.print()
            _header(console, model, run.base)
        for finding in _shown(model, view):
            block.write(console, model, finding, view)
        if model.diagnostics and not view.quiet:
            console.print()
        for diagnostic in model.diagnostics:
            _diagnostic(console, model, diagnostic, view)
        if view.verbose and not view.quiet:
            _refusals(console, model)
    if not view.quiet:
        _by_rule(console, run)
        _next(console, run)
    console.print(tally.line(run), style="bold", soft_wrap=True)


def _shown(model: ModelReport, view: View) -> tuple[Finding, ...]:
    quiet = () if not view.verbose or view.quiet else savings.silent(model.findings)
    return savings.live(model.findings) + quiet


def _header(console: Console, model: ModelReport, base: str) -> None:
    line = Text(cut(model.target), style="bold")
    line.append("  " + model.status, style=STATUS.get(model.status, ""))
    if model.status != "failed":
        line.append(f"  {savings.size(model, base)}", style="not bold")
        line.append(f"  {numbers.si(model.totals.params)} params", style="not bold")
    console.print(line, soft_wrap=True)
    for spec in model.inputs:
        console.print("  " + input_line(spec), style="dim", soft_wrap=True)
    for words in assumptions.outputs_read(model):
        console.print("  " + words, style="dim", soft_wrap=True)
    for words in budgets.phrases(model):
        broken = words.startswith("over")
        console.print("  " + words, style="bold red" if broken else "", soft_wrap=True)
    if savings.live(model.findings):
        console.print("  " + savings.together(model), soft_wrap=True)
        console.print("  " + _together(model), soft_wrap=True)


def input_line(spec: InputSpec) -> str:
    """Return an input with where its shape comes from."""
    name = f" {cut(spec.label)}" if spec.label else ""
    text = f"input{name} {numbers.shape(spec.shape)} {cut(spec.dtype)}, {spec.origin}"
    if spec.origin == "inferred":
        return f"{text}: an assumption, --input sets it"
    at = spec.found_at
    return f"{text} at {at.path}:{at.line}" if at else text


def _together(model: ModelReport) -> str:
    """Return what all compatible rewrites save together."""
    words = []
    for label, totals in zip(("exact", "all"), savings.after(model), strict=True):
        change = numbers.change(model.totals.macs, totals.macs)
        words.append(f"{label} {numbers.macs(totals.macs)} ({change})")
    return "after the rewrites, taken together: " + ", ".join(words)


def _diagnostic(console: Console, model: ModelReport, word: Diagnostic, view: View) -> None:
    if view.quiet and word.severity != "error":
        return
    first, *rest = word.message.split("\n")
    console.print(
        block.first_line(model, word.location, f"{word.code} [{word.severity}] {first}"),
        style=block.STYLE.get(word.severity, ""),
        soft_wrap=True,
    )
    for line in () if view.quiet else rest:
        console.print(Padding(Text(line), (0, 0, 0, 4), expand=False))


def _refusals(console: Console, model: ModelReport) -> None:
    if model.refusals:
        console.print("\n  left alone, with the reason:")
    for refused in model.refusals:
        line = f"{refused.code} {refused.name}: {cut(refused.module)}: {refused.reason}"
        console.print(Padding(Text(line), (0, 0, 0, 4), expand=False), style="dim")


def _next(console: Console, run: RunReport) -> None:
    command, what = nextstep.next_command(run)
    if command:
        line = Text("next: ", style="dim")
        line.append(command, style="not dim bold")
        line.append(f"  # {what}", style="dim")
        console.print(line, soft_wrap=True)


def _by_rule(console: Console, run: RunReport) -> None:
    rows = tally.by_rule(run)
    console.print()
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    table.add_column("rule")
    for heading in ("findings", "modules", "largest saving alone"):
        table.add_column(heading, justify="right")
    for row in rows:
        found, modules = f"{row.findings:,}", f"{row.modules:,}"
        table.add_row(Text(f"{row.code} {row.name}"), found, modules, Text(row.largest or "-"))
    console.print(table)
    console.print()
