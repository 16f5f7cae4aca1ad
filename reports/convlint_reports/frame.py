"""The code frame of a finding: source lines with the part that is meant marked."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.contract import Finding
from convlint.ir.nodes import SourceSpan

TAB = 4


@dataclass(frozen=True, slots=True)
class FrameLine:
    """One source line in three parts; ``marked`` is the finding's, and may be empty."""

    number: int
    before: str
    marked: str
    after: str

    @property
    def text(self) -> str:
        """The whole line, tabs expanded."""
        return self.before + self.marked + self.after


def frame(finding: Finding) -> tuple[FrameLine, ...]:
    """Return the finding's snippet, its common indent removed, with its location marked."""
    span = finding.location
    lines = [_split(line.line, line.text, span) for line in finding.snippet]
    while lines and not lines[-1].text.strip():
        lines.pop()
    indents = [len(x.text) - len(x.text.lstrip()) for x in lines if x.text.strip()]
    return tuple(_dedented(line, min(indents, default=0)) for line in lines)


def _split(number: int, text: str, span: SourceSpan | None) -> FrameLine:
    start, stop = _columns(number, text, span)
    head = text[:start].expandtabs(TAB)
    body = text[:stop].expandtabs(TAB)
    return FrameLine(number, head, body[len(head) :], text.expandtabs(TAB)[len(body) :].rstrip())


def _columns(number: int, text: str, span: SourceSpan | None) -> tuple[int, int]:
    """Return the marked part of a line as offsets, clamped to its code."""
    code_start, code_stop = len(text) - len(text.lstrip()), len(text.rstrip())
    if span is None or not span.line <= number <= max(span.line, span.end_line):
        return code_stop, code_stop
    start = span.column - 1 if number == span.line else code_start
    stop = code_stop
    if number == span.end_line and span.end_column > 0:
        stop = span.end_column - 1
    start = min(max(start, 0), code_stop)
    return start, min(max(stop, start), code_stop)


def _dedented(line: FrameLine, indent: int) -> FrameLine:
    before = line.before[indent:]
    rest = max(0, indent - len(line.before))
    return FrameLine(line.number, before, line.marked[rest:], line.after)
