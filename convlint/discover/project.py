"""The files that the imports of a file lead to, each parsed once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from convlint.discover.source import SourceFile, joined, parse
from convlint.discover.targets import python_files
from convlint.settings import project_root

MAX_HOPS = 8
MAX_FILES = 1000
MAX_BYTES = 1 << 20
_CALL = re.compile(rb"([^\W\d]\w*)\s*\(")
_IMPORT = re.compile(rb"^\s*from\b[^\n(]*\bimport\b\s*(\([^)]*\)|[^\n]*)", re.MULTILINE)
_WORD = re.compile(rb"[^\W\d]\w*")
MAX_KEPT = 64
"""Files whose syntax trees are kept at a time."""


@dataclass(slots=True)
class Project:
    """What one run has parsed of late; None where a file cannot be read."""

    _sources: dict[Path, SourceFile | None] = field(default_factory=dict)
    _calling: dict[Path, dict[bytes, list[Path]]] = field(default_factory=dict)

    def parsed(self, file: Path, text: bytes) -> SourceFile:
        """Return the parsed file; raise SyntaxError or ValueError where Python cannot read it."""
        source = self._sources.pop(file, None) or parse(text, str(file), file)
        self._keep(file, source)
        return source

    def calling(self, root: Path, names: Iterable[str]) -> list[Path]:
        """Return the files under a folder that may import or call one of these names.

        Each file is read once, whatever is asked for; ``MAX_FILES`` of them.
        """
        if root not in self._calling:
            known: dict[bytes, list[Path]] = defaultdict(list)
            for file in python_files(root, MAX_FILES):
                for word in _called(file):
                    known[word].append(file)
            self._calling[root] = known
        found = (self._calling[root].get(name.encode(), []) for name in names)
        return list(dict.fromkeys(file for files in found for file in files))

    def _keep(self, file: Path, source: SourceFile | None) -> None:
        self._sources[file] = source
        if len(self._sources) > MAX_KEPT:
            del self._sources[next(iter(self._sources))]

    def find(self, source: SourceFile, path: str, hops: int = 0) -> tuple[SourceFile, str] | None:
        """Return the file and name there that a dotted path of ``source`` stands for.

        ``path`` is as ``SourceFile.canonical`` gives it; it is followed through files that
        only import the name. None where it leads out of the project.
        """
        parts = path.lstrip(".").split(".")
        level = len(path) - len(path.lstrip("."))
        for folder in _folders(source.file, level):
            for cut in range(len(parts) - 1, -1 if level else 0, -1):
                file = _module_file(folder, parts[:cut])
                found = self._named(file, parts[cut:], hops) if file else None
                if found is not None:
                    return found
        return None

    def starred(
        self, source: SourceFile, name: str, hops: int = 0
    ) -> tuple[SourceFile, str] | None:
        """Return the file and name that ``name`` stands for through a star import."""
        places = (self.find(source, joined(star, name), hops) for star in source.star)
        return next((place for place in places if place is not None), None)

    def source_at(self, file: Path) -> SourceFile | None:
        """Return the parsed file, or None where Python cannot read it."""
        try:
            return (
                self._sources[file]
                if file in self._sources
                else self.parsed(file, file.read_bytes())
            )
        except (OSError, SyntaxError, ValueError, RecursionError):
            self._keep(file, None)
            return None

    def _named(self, file: Path, names: list[str], hops: int) -> tuple[SourceFile, str] | None:
        source = self.source_at(file)
        if source is None or hops > MAX_HOPS:
            return None
        head, text = names[0], ".".join(names)
        if head in source.classes or head in source.functions or head in source.values:
            return source, text
        if head in source.imports:
            rest = names[1:]
            return self.find(source, ".".join([source.imports[head], *rest]), hops + 1)
        return self.starred(source, text, hops + 1)


def _called(file: Path) -> set[bytes]:
    """Return the names in a file that come before a bracket or in an import."""
    try:
        text = file.read_bytes() if file.stat().st_size <= MAX_BYTES else b""
    except OSError:
        return set()
    imported = (word for line in _IMPORT.findall(text) for word in _WORD.findall(line))
    return {*_CALL.findall(text), *imported}


def _folders(file: Path, level: int) -> Iterator[Path]:
    """Yield where the first part of an import is looked for, as in ``search_path``."""
    if level:
        yield file.parents[min(level, len(file.parents)) - 1]
        return
    yield from dict.fromkeys((top_folder(file), *_roots(file), file.parent))


def _roots(file: Path) -> tuple[Path, Path]:
    root = project_root(file)
    return root, root / "src"


def top_folder(file: Path) -> Path:
    """Return the folder above the topmost package that a file is in, else its own folder."""
    top = file.parent
    while (top / "__init__.py").is_file() and top != top.parent:
        top = top.parent
    return top


def _module_file(folder: Path, parts: list[str]) -> Path | None:
    base = folder.joinpath(*parts)
    files = [base.with_name(f"{base.name}.py")] if parts else []
    return next((file for file in (*files, base / "__init__.py") if file.is_file()), None)
