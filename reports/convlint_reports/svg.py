"""The picture on its own, for slides: the map and the strip of every model as one SVG."""

from __future__ import annotations

from convlint import contract


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return a standalone SVG, 1160 wide, on white; it loads nothing."""
    del view
    from convlint_reports import _templates
    from convlint_reports.poster import poster

    return _templates.svg(poster(run))


REPORT = contract.ReportFormat("svg", "where the cost is, as a picture for slides", render)
