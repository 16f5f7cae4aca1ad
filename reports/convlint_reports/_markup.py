"""Words of the user's code inside GitHub's Markdown: shown as written, never as markup."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

_SPECIAL = re.compile(r"([\\`*_\[\]{}|~#!$^])")
_LINKS = re.compile(r"(?i)(?<=www)\.|:(?=//)|@")


def prose(text: str) -> str:
    """Return text for a paragraph or a table cell: one line, no markup, links or mentions."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(text.split("\n")))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINKS.sub(lambda found: found.group() + "<!-- -->", escaped)


def code(text: str) -> str:
    """Return a code span that holds the text, whatever backticks are in it."""
    if not text:
        return ""
    line = " ".join(text.split("\n"))
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def cell(text: str) -> str:
    """Return a code span for a table cell, where a pipe would end the cell."""
    return code(text).replace("|", "\\|")


def link(text: str, base: str, path: str, line: int) -> str:
    """Return Markdown text as a link to a line of a file below ``base``; as it is without one.

    Every character of the path that could end the link is percent-encoded.
    """
    if not base or not base.startswith(("https://", "http://")):
        return text
    whole = quote(base, safe=":/?=&%~@+,;")
    return f"[{text}]({whole.rstrip('/')}/{quote(path, safe='/')}#L{line})"


def block(text: str, language: str = "") -> str:
    """Return a fenced code block that the text cannot leave."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def tag(text: str) -> str:
    """Return text for the inside of an HTML block, such as a summary."""
    return html.escape(" ".join(text.split("\n")))


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
