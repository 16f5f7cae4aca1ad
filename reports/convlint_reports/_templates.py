"""The Jinja environment of the reports; loaded only when one is rendered."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from convlint.costs import CostReport
from convlint_reports import _markup
from convlint_reports.costpage import costpage
from convlint_reports.page import OverviewRow, Page
from convlint_reports.poster import Poster
from convlint_reports.summary import Summary

FOLDER = Path(__file__).parent / "templates"
ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("echarts.min.js", "report.js", "charts.js")


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the words of a page: style, scripts, and the hashes that allow them."""

    css: Markup
    style_hash: str
    scripts: tuple[Markup, ...]
    script_hashes: str
    overviews: tuple[tuple[OverviewRow, ...], ...]


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
def _inline(path: Path) -> tuple[Markup, str]:
    """Return a file for the inside of an element, and its hash for the page's policy."""
    text = path.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"sha256-{digest}"


def _frame(page: Page) -> Frame:
    css, style_hash = _inline(FOLDER / "report.css")
    drawn = any(model.pictures for model in page.models)
    names = SCRIPTS if drawn else ("report.js",)
    scripts = [_inline(ASSETS / name) for name in names]
    return Frame(
        css=css,
        style_hash=style_hash,
        scripts=tuple(script for script, _ in scripts),
        script_hashes=" ".join(f"'{digest}'" for _, digest in scripts),
        overviews=(page.overview,) if len(page.models) > 1 else (),
    )


def html(page: Page) -> str:
    """Return the HTML page."""
    template = _environment(True).get_template("report.html.j2")
    return template.render(page=page, frame=_frame(page)) + "\n"


def costs(report: CostReport) -> str:
    """Return the HTML page of cost tables."""
    css, digest = _inline(FOLDER / "report.css")
    template = _environment(True).get_template("costs.html.j2")
    return template.render(page=costpage(report), css=css, style_hash=digest) + "\n"


def svg(poster: Poster) -> str:
    """Return the pictures as a standalone SVG."""
    css, _ = _inline(FOLDER / "picture.css")
    return _environment(True).get_template("picture.svg.j2").render(poster=poster, css=css) + "\n"


def markdown(summary: Summary) -> str:
    """Return the Markdown page; runs of empty lines are one."""
    text = _environment(False).get_template("report.md.j2").render(page=summary)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
