"""Folds lists of module paths into patterns: "layer2.*.conv1 x8"."""

from __future__ import annotations

from collections.abc import Iterable


def fold(modules: Iterable[str]) -> tuple[str, ...]:
    """Return the paths folded, in order of first appearance.

    Paths that differ only in numeric parts (``blocks.0.conv``, ``blocks.1.conv``) become
    one pattern with ``*`` for each part that varies, and their count: "blocks.*.conv x2".
    The root module, whose path is empty, is written "(model)".
    """
    groups: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for module in modules:
        parts = tuple(module.split("."))
        shape = tuple("#" if part.isdecimal() else part for part in parts)
        groups.setdefault(shape, {})[parts] = None
    return tuple(_pattern(tuple(members)) for members in groups.values())


def _pattern(members: tuple[tuple[str, ...], ...]) -> str:
    columns = zip(*members, strict=True)
    text = ".".join(column[0] if len(set(column)) == 1 else "*" for column in columns)
    text = text or "(model)"
    return text if len(members) == 1 else f"{text} x{len(members)}"
