"""The suppression comments of one file, and the code each of them is about."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "convlint:"
_COMMENT = re.compile(
    r"#\s*convlint:\s*ignore(?P<file>-file)?\b\s*(?:\[(?P<rules>[^\]]*)\])?\s*(?P<reason>.*)",
    re.IGNORECASE,
)
_Scope = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment: the codes or names it lists (none: it is a blanket one), and its reason.

    ``whole`` is true where it speaks of the whole file.
    """

    line: int
    column: int
    rules: tuple[str, ...]
    reason: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Annotated:
    """A file's comments by line, and its classes and functions as (header, first, last) lines."""

    comments: tuple[Comment, ...]
    classes: tuple[tuple[range, range], ...]
    scopes: tuple[tuple[range, range], ...]

    def comments_for(self, first: int, last: int) -> Iterator[Comment]:
        """Yield the comments that speak of a call on these lines, the nearest ones first."""
        here = [comment for comment in self.comments if not comment.whole]
        for comment in here:
            if comment.line in (first, last):
                yield comment
        around = [header for header, body in self.classes if first in body]
        for header in sorted(around, key=lambda lines: -lines.start):
            yield from (comment for comment in here if comment.line in header)
        yield from (comment for comment in self.comments if comment.whole)

    def scope_of(self, comment: Comment) -> tuple[int, int]:
        """Return first and last line of the code a comment is about.

        That is the innermost class or function around it, else the line alone; or all of it.
        """
        if comment.whole:
            return 1, sys.maxsize
        line = comment.line
        around = [body for header, body in self.scopes if line in header or line in body]
        inner = max(around, key=lambda lines: lines.start, default=range(line, line + 1))
        return inner.start, inner.stop - 1


def read_comments(file: Path) -> Annotated | None:
    """Return the annotated file, or None where it holds no comment of ours."""
    try:
        data = file.read_bytes()
        if MARK.encode() not in data:
            return None
        comments = tuple(_comments(data))
        tree = ast.parse(data)
    except (OSError, SyntaxError, ValueError, tokenize.TokenError):
        return None
    scopes = [node for node in ast.walk(tree) if isinstance(node, _Scope)]
    classes = tuple(_lines(node) for node in scopes if isinstance(node, ast.ClassDef))
    return Annotated(comments, classes, tuple(map(_lines, scopes)))


def _comments(data: bytes) -> Iterator[Comment]:
    for token in tokenize.tokenize(io.BytesIO(data).readline):
        match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
        if match:
            words = re.split(r"[,\s]+", match["rules"] or "")
            rules = tuple(word for word in words if word)
            line, column = token.start
            reason, whole = match["reason"].strip(), match["file"] is not None
            yield Comment(line, column + 1 + match.start(), rules, reason, whole)


def _lines(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[range, range]:
    """Return the lines of the header (decorators left out) and of the whole body."""
    header = range(node.lineno, max(node.body[0].lineno, node.lineno + 1))
    return header, range(node.lineno, (node.end_lineno or node.lineno) + 1)
