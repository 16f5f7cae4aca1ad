"""How other files of the project build a class: demos, training scripts, tests."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path

from convlint.discover.blocks import Block, OpenExpressionError, blocks_of
from convlint.discover.project import Project
from convlint.discover.source import SourceFile, dotted
from convlint.settings import project_root

MAX_CALLS = 4


def expressions_elsewhere(
    source: SourceFile, names: frozenset[str], project: Project
) -> tuple[str, ...]:
    """Return the calls of ``names`` with literal arguments in other files, as ``source`` spells them.

    ``names`` are a class of ``source`` and the functions there that return one. A call counts
    where its file imports the name from ``source``; the nearest files come first.
    """
    found: dict[str, None] = {}
    for file in _near(source.file, names, project):
        other = project.source_at(file)
        for block in blocks_of(other) if other is not None else ():
            found.update(dict.fromkeys(_calls(block, source, names, project)))
        if len(found) >= MAX_CALLS:
            break
    return tuple(found)[:MAX_CALLS]


def _near(file: Path, names: frozenset[str], project: Project) -> list[Path]:
    """Return the project's other files that name one of these, those of the own folder first."""
    others = project.calling(project_root(file), sorted(names))
    return sorted((o for o in others if o != file), key=lambda other: other.parent != file.parent)


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
    plain = ast.Call(ast.Name("dict", ast.Load()), call.args, call.keywords)
    return block.closed(plain, anywhere=True)[len("dict(") : -1]
