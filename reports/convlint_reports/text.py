"""The text report: for the terminal and the log of a CI job."""

from __future__ import annotations

from convlint import contract


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the report as lines; each finding begins ``path:line:col: CODE name``."""
    from convlint_reports import _terminal

    return _terminal.render(run, view)


REPORT = contract.ReportFormat("text", "findings with their code, for the terminal", render)
