"""The statements that a docstring shows."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator


def examples(docstring: str) -> Iterator[ast.stmt]:
    """Yield the statements of a docstring: those behind prompts, else lines that are calls."""
    lines = docstring.splitlines()
    prompted = [(i, line.strip()[4:]) for i, line in enumerate(lines) if _prompted(line)]
    for number, text in prompted or list(enumerate(map(str.strip, lines))):
        if not re.search(r"\w\(", text) and not re.match(r"\w+\s*=", text):
            continue
        more = number + 1
        while more < len(lines) and lines[more].strip().startswith("... "):
            text += "\n" + lines[more].strip()[4:]
            more += 1
        try:
            statements = ast.parse(inspect.cleandoc(text)).body
        except (SyntaxError, ValueError):
            continue
        for statement in statements:
            yield ast.increment_lineno(statement, number)


def _prompted(line: str) -> bool:
    return line.strip().startswith(">>> ")
