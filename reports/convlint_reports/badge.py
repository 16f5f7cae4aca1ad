"""The badge: a JSON endpoint for shields.io, with the cost and what it would save."""

from __future__ import annotations

import json

from convlint import contract
from convlint_reports import numbers, savings
from convlint_reports.savings import Section
from convlint_reports.words import cleaned, cut, plural


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the badge of a run; see https://shields.io/badges/endpoint-badge."""
    del view
    run = cleaned(run)
    badge: dict[str, object] = {
        "schemaVersion": 1,
        "label": "convlint",
        "message": cut(_message(run), 120),
        "color": _color(run),
    }
    if _failed(run):
        badge["isError"] = True
    return json.dumps(badge, indent=2, ensure_ascii=False) + "\n"


def _message(run: contract.RunReport) -> str:
    if _failed(run):
        return f"{plural(_failed(run), 'model')} could not be read"
    size = [numbers.macs(model.totals.macs) for model in run.models]
    head = size[0] if len(size) == 1 else plural(len(size), "model")
    found = [f for model in run.models for f in savings.live(model.findings)]
    if not found:
        return f"{head}, nothing to save"
    exact = sum(savings.section(f) is Section.EXACT for f in found)
    if len(run.models) == 1 and exact:
        model = run.models[0]
        then, _ = savings.after(model)
        if then.macs < model.totals.macs:
            gain = numbers.change(model.totals.macs, then.macs).replace("-", "−")
            return f"{head}, {gain} exactly"
    return f"{head}, {plural(len(found), 'finding')}"


def _color(run: contract.RunReport) -> str:
    """Return red for what failed or is an error, green for nothing, blue for notes only."""
    live = [f for model in run.models for f in savings.live(model.findings)]
    if _failed(run) or any(f.severity is contract.Severity.ERROR for f in live):
        return "red"
    if any(f.severity is contract.Severity.WARNING for f in live):
        return "yellow"
    return "blue" if live else "brightgreen"


def _failed(run: contract.RunReport) -> int:
    return sum(model.status == "failed" for model in run.models)


REPORT = contract.ReportFormat("badge", "a shields.io endpoint: the cost on a badge", render)
