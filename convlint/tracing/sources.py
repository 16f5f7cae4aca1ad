"""Which line built a layer, which line called it: frames turned into SourceSpans."""

from __future__ import annotations

import linecache
import os
import sys
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from convlint.ir.nodes import SourceSpan

BUILT = "_convlint_built"
_HERE = str(Path(__file__).resolve().parent.parent)
_DEPTH = 200
_CHAIN = 4


class Locator:
    """Tells where frames stand, relative to a project's root.

    ``sources`` collects the absolute file behind every path it has told.
    """

    def __init__(self, root: str) -> None:
        self.root = Path(root).resolve()
        self.sources: dict[str, str] = {}
        self._kinds: dict[str, str] = {}
        self._spans: dict[tuple[CodeType, int], SourceSpan] = {}
        self._told: dict[str, str] = {}
        self._torch = _package_folder("torch")
        self._stdlib = str(Path(os.__file__).resolve().parent)

    def kind_of(self, filename: str) -> str:
        """Return "project", "package", or "hidden" (torch, convlint, the stdlib, no file)."""
        kind = self._kinds.get(filename)
        if kind is None:
            kind = self._kinds[filename] = self._classify(filename)
        return kind

    def _classify(self, filename: str) -> str:
        if filename.startswith("<"):
            return "hidden"
        path = str(Path(filename).resolve())
        if path.startswith((self._torch, _HERE + "/")):
            return "hidden"
        if "/site-packages/" in path or "/dist-packages/" in path:
            return "package"
        if path.startswith(self._stdlib) and not Path(path).is_relative_to(self.root):
            return "hidden"
        return "project"

    def called_at(self, frame: FrameType | None) -> SourceSpan | None:
        """Return the innermost project line above ``frame``, else the innermost package line.

        Only the model's own frames count: whoever called convlint is no part of it.
        """
        package: FrameType | None = None
        for _ in range(_DEPTH):
            if frame is None or _is_recorder(frame.f_code):
                break
            kind = self.kind_of(frame.f_code.co_filename)
            if kind == "project":
                return self.span(frame.f_code, frame.f_lasti)
            if kind == "package" and package is None:
                package = frame
            frame = frame.f_back
        return self.span(package.f_code, package.f_lasti) if package else None

    def built_at(self, module: object, frame: FrameType | None) -> tuple[SourceSpan, ...]:
        """Return the lines that construct ``module``, innermost first.

        Frames of the constructors of ``module`` itself are passed over, so that a subclass is
        built where it is called, not where it calls ``super().__init__``.
        """
        chains: dict[str, list[SourceSpan]] = {"project": [], "package": []}
        outside = False
        for _ in range(_DEPTH):
            if frame is None or frame.f_code.co_filename.startswith(_HERE + "/"):
                break  # whoever had convlint build the model is no part of it
            outside = outside or not _constructs(frame, module)
            kind = self.kind_of(frame.f_code.co_filename)
            chain = chains.get(kind)
            if outside and chain is not None and len(chain) < _CHAIN:
                span = self.span(frame.f_code, frame.f_lasti)
                if span not in chain:
                    chain.append(span)
            frame = frame.f_back
        return tuple(chains["project"] or chains["package"])

    def span(self, code: CodeType, lasti: int) -> SourceSpan:
        """Return where the instruction ``lasti`` of ``code`` stands (the whole call)."""
        key = (code, lasti)
        found = self._spans.get(key)
        if found is None:
            found = self._spans[key] = self._make_span(code, lasti)
        return found

    def _make_span(self, code: CodeType, lasti: int) -> SourceSpan:
        positions = list(code.co_positions())
        place = lasti // 2
        line, end, column, end_column = (
            positions[place] if place < len(positions) else (None, None, None, None)
        )
        first, last = line or code.co_firstlineno, end or line or code.co_firstlineno
        return SourceSpan(
            path=self.tell(code.co_filename),
            line=first,
            column=_characters(code.co_filename, first, column or 0) + 1,
            end_line=last,
            end_column=_characters(code.co_filename, last, end_column or 0) + 1,
        )

    def tell(self, filename: str) -> str:
        """Return how reports call this file, and remember the file behind it."""
        told = self._told.get(filename)
        if told is None:
            told = self._told[filename] = self._tell(filename)
        return told

    def _tell(self, filename: str) -> str:
        path = Path(filename).resolve()
        told = path.name
        inside = [Path(entry).resolve() for entry in sys.path if entry]
        places = (
            [*inside, self.root] if self.kind_of(filename) == "package" else [self.root, *inside]
        )
        for place in places:
            if path.is_relative_to(place):
                told = path.relative_to(place).as_posix()
                break
        self.sources.setdefault(told, str(path))
        return told


def _is_recorder(code: CodeType) -> bool:
    return code.co_name == "record" and code.co_filename.startswith(_HERE)


def _characters(filename: str, line: int, offset: int) -> int:
    """Return a UTF-8 byte offset of a line, as code objects have it, in characters."""
    text = linecache.getline(filename, line)
    if text.isascii():
        return offset
    return len(text.encode()[:offset].decode(errors="replace"))


@lru_cache(maxsize=8)
def _package_folder(name: str) -> str:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve().parent) + "/" if file else "\0"


def _constructs(frame: FrameType, module: object) -> bool:
    code = frame.f_code
    if code.co_argcount == 0:
        return False
    return frame.f_locals.get(code.co_varnames[0]) is module


def built_lines(module: Any) -> tuple[SourceSpan, ...]:
    """Return the constructor lines that were noted on ``module``, or ()."""
    noted: tuple[SourceSpan, ...] = module.__dict__.get(BUILT, ())
    return noted


class ConstructorLines:
    """While active, notes on every nn.Module which lines construct it.

    The note is an entry of the instance's ``__dict__``, so that copies (``deepcopy`` of a
    block) keep the line of their original.
    """

    def __init__(self, locator: Locator) -> None:
        self._locator = locator

    def __enter__(self) -> None:
        import torch

        original = self._original = torch.nn.Module.__init__
        locator = self._locator

        def __init__(module: Any, *args: Any, **kwargs: Any) -> None:
            if BUILT not in module.__dict__:
                frame = sys._getframe(1)
                module.__dict__[BUILT] = locator.built_at(module, frame)
            original(module, *args, **kwargs)

        torch.nn.Module.__init__ = __init__  # type: ignore[method-assign]

    def __exit__(self, *error: object) -> None:
        import torch

        torch.nn.Module.__init__ = self._original  # type: ignore[method-assign]
