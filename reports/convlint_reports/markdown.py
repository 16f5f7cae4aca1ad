"""The Markdown report: for job summaries and comments on pull requests."""

from __future__ import annotations

from dataclasses import replace

from convlint import contract
from convlint_reports.page import page
from convlint_reports.summary import Amount, summary

LIMIT = 65_536
AMOUNTS = (
    Amount(models=100, findings=100, details=30, layers=400, notes=50, text=4000),
    Amount(models=50, findings=30, details=10, layers=100, notes=20, text=1000),
    Amount(models=30, findings=10, details=3, layers=25, notes=10, text=500),
    Amount(models=20, findings=5, details=1, layers=0, notes=3, text=200),
    Amount(models=10, findings=3, details=0, layers=0, notes=2, text=120),
    Amount(models=3, findings=2, details=0, layers=0, notes=1, text=60),
)


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the report as GitHub Markdown of fewer than 65,536 characters."""
    from convlint_reports import _templates

    whole = page(run)
    text = ""
    for amount in AMOUNTS:
        text = _templates.markdown(summary(whole, replace(amount, link_base=view.link_base)))
        if len(text) < LIMIT:
            break
    return text


REPORT = contract.ReportFormat("markdown", "for a job summary or a pull request", render)
