"""The Jinja environment of the reports; loaded only when one is rendered."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from convlint.costs import CostReport
from convlint_reports import _markup, costcells
from convlint_reports.page import Page
from convlint_reports.summary import Summary

FOLDER = Path(__file__).parent / "templates"


@functools.cache
def _environment(autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for escape in (_markup.prose, _markup.code, _markup.cell, _markup.block, _markup.tag):
        environment.filters[escape.__name__] = escape
    return environment


@functools.cache
def _style() -> tuple[Markup, str]:
    """Return the style sheet and its hash, for the page's Content-Security-Policy."""
    css = (FOLDER / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return Markup(css), f"sha256-{digest}"


def html(page: Page) -> str:
    """Return the HTML page."""
    css, digest = _style()
    template = _environment(True).get_template("report.html.j2")
    return template.render(page=page, css=css, style_hash=digest) + "\n"


def costs(report: CostReport) -> str:
    """Return the HTML page of cost tables."""
    css, digest = _style()
    template = _environment(True).get_template("costs.html.j2")
    page = template.render(
        report=report,
        css=css,
        style_hash=digest,
        aside=costcells.side_by_side(report),
        counting=costcells.COUNTING,
        headings=costcells.HEADINGS,
        name=costcells.name,
        cells=costcells.cells,
        facts=costcells.facts,
        bound=costcells.bound,
        peer_words=costcells.peer_words,
        place=costcells.peer_place,
        signed=costcells.signed,
    )
    return page + "\n"


def markdown(summary: Summary) -> str:
    """Return the Markdown page; runs of empty lines are one."""
    text = _environment(False).get_template("report.md.j2").render(page=summary)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
