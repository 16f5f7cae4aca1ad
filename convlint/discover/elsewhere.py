"""How other files of the project build a class: demos, training scripts, tests."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from convlint.discover.blocks import MAX_DEPTH, Block, OpenExpressionError, blocks_of
from convlint.discover.project import Project
from convlint.discover.source import SourceFile, dotted
from convlint.discover.targets import python_files
from convlint.settings import project_root

MAX_FILES = 1000
MAX_BYTES = 1 << 20
MAX_CALLS = 4
_PLAIN = frozenset("abs bool dict float int len list max min range round sum tuple".split())
"""Builtins that an expression of another file may use."""


def expressions_elsewhere(
    source: SourceFile, names: frozenset[str], project: Project
) -> tuple[str, ...]:
    """Return the calls of ``names`` with literal arguments in other files, as ``source`` spells them.

    ``names`` are a class of ``source`` and the functions there that return one. A call counts
    where its file imports the name from ``source``; the nearest files come first.
    """
    named = re.compile(rb"\b(?:%s)\b" % b"|".join(re.escape(n.encode()) for n in names))
    found: dict[str, None] = {}
    for file in _near(source.file):
        other = project.source_at(file) if named.search(_text(file)) else None
        for block in blocks_of(other) if other is not None else ():
            found.update(dict.fromkeys(_calls(block, source, names, project)))
        if len(found) >= MAX_CALLS:
            break
    return tuple(found)[:MAX_CALLS]


def _near(file: Path) -> list[Path]:
    """Return the project's other Python files, those of the file's own folder first."""
    others = [other for other in python_files(project_root(file), MAX_FILES) if other != file]
    return sorted(others, key=lambda other: other.parent != file.parent)


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes() if file.stat().st_size <= MAX_BYTES else b""
    except OSError:
        return b""


def _calls(
    block: Block, source: SourceFile, names: frozenset[str], project: Project
) -> Iterator[str]:
    for call in block.calls:
        name = _name_in(source, block.source, call.func, names, project)
        if name:
            with contextlib.suppress(OpenExpressionError):
                yield f"{name}({_arguments(block, call)})"


def _name_in(
    source: SourceFile, other: SourceFile, func: ast.expr, names: frozenset[str], project: Project
) -> str:
    """Return which of ``names`` a function of another file is, "" for none of them."""
    path = other.canonical(func)
    if path.rpartition(".")[2] not in names:
        return ""
    place = project.find(other, path) or project.starred(other, dotted(func))
    return place[1] if place is not None and place[0].file == source.file else ""


def _arguments(block: Block, call: ast.Call) -> str:
    """Return the arguments of a call, which then mean the same in any file."""
    plain = ast.Call(ast.Name("dict", ast.Load()), call.args, call.keywords)
    closed = ast.parse(block.closed(plain), mode="eval").body
    written = _Written(block.source).visit(closed)
    return ast.unparse(written)[len("dict(") : -1]


class _Written(ast.NodeTransformer):
    """Puts in what the module's names and options stand for; raises where a name is left."""

    def __init__(self, source: SourceFile, depth: int = 0) -> None:
        self.source = source
        self.depth = depth

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self.source.values.get(node.id)
        if value is None and node.id in _PLAIN:
            return node
        unset = isinstance(value, ast.Constant) and value.value is None
        if value is None or unset or self.depth > MAX_DEPTH:
            raise OpenExpressionError
        copied = ast.parse(ast.unparse(value), mode="eval").body
        result: ast.expr = _Written(self.source, self.depth + 1).visit(copied)
        return result

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        default = self.source.command_line.value(node)
        return self.generic_visit(node) if default is None else default
