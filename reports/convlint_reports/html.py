"""The HTML report: one file that loads nothing and runs nothing."""

from __future__ import annotations

from convlint import contract
from convlint.costs import CostReport
from convlint_reports.page import page
from convlint_reports.words import cleaned


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the report as a page for people."""
    del view
    from convlint_reports import _templates

    return _templates.html(page(run, pictures=True))


def costs(report: CostReport, view: contract.View) -> str:
    """Return the cost tables as a page."""
    del view
    from convlint_reports import _templates

    return _templates.costs(cleaned(report))


REPORT = contract.ReportFormat("html", "one self-contained page, with a picture", render, costs)
