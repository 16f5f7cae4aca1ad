"""A reading of HTML with the standard parser, for claims about pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "hr", "img", "link"}


@dataclass
class Reading(HTMLParser):
    """Tags, attributes and text of a page, and whether its tags are balanced."""

    tags: set[str] = field(default_factory=set)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a tag."""
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        """Note text."""
        if not {"style", "script"} & set(self.open):
            self.words.append(data)
        elif self.open[-1] == "script":
            self.scripts[-1] += data

    @property
    def text(self) -> str:
        """All text outside style sheets and scripts."""
        return "".join(self.words)


def body(page: str) -> str:
    """Return a page without its style sheet and its scripts, the numbers they read kept."""
    return re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL)


def read(page: str) -> Reading:
    """Return the reading of a page."""
    reading = Reading()
    reading.feed(page)
    reading.close()
    return reading
