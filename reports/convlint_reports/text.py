"""The text report: for the terminal and the log of a CI job."""

from __future__ import annotations

from convlint import contract
from convlint.costs import CostReport


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the report as lines; each finding begins ``path:line:col: CODE name``."""
    from convlint_reports import _terminal

    return _terminal.render(run, view)


def costs(report: CostReport, view: contract.View) -> str:
    """Return the cost tables as lines."""
    from convlint_reports import _terminal_costs

    return _terminal_costs.render(report, view)


REPORT = contract.ReportFormat("text", "findings with their code, for the terminal", render, costs)
