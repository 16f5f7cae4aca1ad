"""The HTML report: one file that loads nothing and runs nothing."""

from __future__ import annotations

from convlint import contract
from convlint_reports.page import page


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the report as a page for people."""
    del view
    from convlint_reports import _templates

    return _templates.html(page(run, pictures=True))


REPORT = contract.ReportFormat("html", "one self-contained page, with a picture", render)
