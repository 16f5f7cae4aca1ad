"""What was typed, resolved: files, folders and expressions, without reading any Python."""

from __future__ import annotations

import ast
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pathspec

from convlint import errors
from convlint.settings import project_root

SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv", "env"}
)
_FILE = re.compile(r"(?P<file>.*?\.py):(?P<expression>.*)", re.DOTALL)
_MODULE = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<expression>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """One file or module to look at. ``asked`` is what the user typed that led here.

    ``named`` is false for the files of a folder. Exactly one of ``file`` and ``module``
    is given; ``root`` is the absolute folder that paths are told relative to.
    """

    asked: str
    root: Path
    file: Path | None = None
    module: str = ""
    expression: str = ""
    named: bool = True

    @property
    def path(self) -> str:
        """The file as reports call it: relative to the root, POSIX."""
        if self.file is None:
            return self.module
        return Path(os.path.relpath(self.file, self.root)).as_posix()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which files are left out: gitignore patterns, relative to the root.

    A file that was named is looked at all the same, unless ``force``.
    """

    exclude: tuple[str, ...] = ()
    force: bool = False

    def leaves_out(self, target: Target) -> bool:
        """Say whether the patterns leave this file out."""
        if target.file is None or (target.named and not self.force):
            return False
        return pathspec.GitIgnoreSpec.from_lines(self.exclude).match_file(target.path)


def split(text: str) -> tuple[str, str]:
    """Return (file, folder or module; expression or an empty string) of what was typed."""
    if Path(text).exists():
        return text, ""
    for pattern in (_FILE, _MODULE):
        match = pattern.fullmatch(text)
        if match:
            return match[1], match["expression"]
    return text, ""


def locate(
    texts: Sequence[str], chosen: Filter, *, model: str = "", hook: bool = False
) -> tuple[Target, ...]:
    """Return the files and expressions to look at; raise UsageError for what is not there.

    ``model`` is ``--model``: the expression for the one file that was named.
    """
    if model and len(texts) != 1:
        raise errors.UsageError(
            f"--model goes with one file, not {len(texts)} targets",
            fix="write the expression behind each file: file.py:EXPR",
        )
    found: dict[tuple[Path | None, str, str], Target] = {}
    for text in texts:
        resolved = [t for t in _resolve(text, model, hook=hook) if not chosen.leaves_out(t)]
        if not resolved and not hook and not chosen.force:
            raise errors.UsageError("no Python file to check in this folder", where=text)
        for target in resolved:
            found.setdefault((target.file, target.module, target.expression), target)
    return tuple(found.values())


def _resolve(text: str, model: str, *, hook: bool) -> Iterator[Target]:
    where, expression = split(text)
    if model and (expression or Path(where).is_dir()):
        raise errors.UsageError(
            f"--model cannot go with {text}", fix="name one file, or write file.py:EXPR"
        )
    expression = check_expression(model or expression, "--model" if model else text)
    path = Path(where)
    if path.is_dir():
        yield from _walk(text, path.resolve())
    elif path.is_file():
        if path.suffix != ".py":
            if not hook:
                raise errors.UsageError(
                    "not a Python file", where=where, fix="name a .py file, or a folder"
                )
            return
        absolute = path.resolve()
        yield Target(text, project_root(absolute), file=absolute, expression=expression)
    elif expression and not _FILE.fullmatch(text):
        yield Target(text, project_root(Path.cwd()), module=where, expression=expression)
    else:
        raise _missing(where)


def check_expression(expression: str, where: str) -> str:
    """Return the expression; raise UsageError where Python cannot read it."""
    if not expression and not where.endswith(":"):
        return ""
    fix = "write a class, or a call: Net or 'Net(num_classes=10)'"
    try:
        node = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        what = f"the expression {expression!r} is not valid Python ({reason})"
        raise errors.UsageError(what, where=where, fix=fix) from None
    if isinstance(node, ast.Constant):
        raise errors.UsageError(f"{expression!r} names no model", where=where, fix=fix)
    return expression.strip()


def _missing(where: str) -> errors.UsageError:
    path = Path(where)
    names = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
    close = errors.suggest(path.name, names)
    return errors.UsageError("no such file or folder", where=where, fix=close)


# --- folders -----------------------------------------------------------------------


def _walk(asked: str, folder: Path) -> Iterator[Target]:
    root = project_root(folder)
    for file in python_files(folder):
        yield Target(asked, root, file=file, named=False)


def python_files(folder: Path, most: int | None = None) -> Iterator[Path]:
    """Yield the Python files under a folder, ``most`` of them, without hidden and installed ones."""
    found = (
        Path(place) / name
        for place, folders, files in _walked(folder)
        for name in sorted(files)
        if name.endswith(".py") and not name.startswith(".")
    )
    yield from itertools.islice(found, most)


def _walked(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_walked(Path(place) / name))
        yield place, folders, files


def _is_walked(folder: Path) -> bool:
    name = folder.name
    hidden = name.startswith(".") or name in SKIPPED_FOLDERS or name.endswith(".egg-info")
    return not hidden and not (folder / "pyvenv.cfg").exists()
