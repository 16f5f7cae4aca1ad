"""Repeated blocks of a model: neighbours that are built alike, for tables to fold.

"layer3.1" to "layer3.5" are alike where their layers have the same names, kinds, shapes and
costs; a table shows them as one, "layer3.1-5.conv1 x5" a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from convlint.contract import Layer


@dataclass(frozen=True, slots=True)
class Folded:
    """One row that stands for several: their indices in execution order."""

    name: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """One layer: its path in parts, its place in the table, and what has to be alike."""

    path: tuple[str, ...]
    index: int
    facts: tuple[object, ...]


def folded(layers: Sequence[Layer]) -> tuple[Folded, ...]:
    """Return the rows to fold, in order of their first layer."""
    rows = [
        _Row(
            tuple(layer.module.split(".")),
            index,
            (layer.kind, layer.call, layer.params, layer.macs, layer.output_shapes),
        )
        for index, layer in enumerate(layers)
    ]
    return tuple(_folded(rows, 0))


def _folded(rows: Sequence[_Row], depth: int) -> Iterator[Folded]:
    """Fold the modules at one depth of the path; look deeper into those that stand alone."""
    blocks = [list(found) for _, found in groupby(rows, lambda row: row.path[: depth + 1])]
    start = 0
    while start < len(blocks):
        stop = start + 1
        while stop < len(blocks) and _continues(blocks[stop - 1], blocks[stop], depth):
            stop += 1
        run, start = blocks[start:stop], stop
        if len(run) > 1:
            yield from _together(run, depth)
        elif any(len(row.path) > depth + 1 for row in run[0]):
            yield from _folded([row for row in run[0] if len(row.path) > depth + 1], depth + 1)


def _continues(first: Sequence[_Row], second: Sequence[_Row], depth: int) -> bool:
    """Tell whether two blocks have following numbers and are alike."""
    one, other = _number(first, depth), _number(second, depth)
    if one is None or other is None or other != one + 1:
        return False
    if first[0].path[:depth] != second[0].path[:depth] or len(first) != len(second):
        return False
    return all(
        a.path[depth + 1 :] == b.path[depth + 1 :] and a.facts == b.facts
        for a, b in zip(first, second, strict=True)
    )


def _number(block: Sequence[_Row], depth: int) -> int | None:
    path = block[0].path
    part = path[depth] if len(path) > depth else ""
    return int(part) if part.isascii() and part.isdecimal() and len(part) < 7 else None


def _together(run: Sequence[Sequence[_Row]], depth: int) -> Iterator[Folded]:
    first, last = _number(run[0], depth), _number(run[-1], depth)
    for place, row in enumerate(run[0]):
        path = (*row.path[:depth], f"{first}-{last}", *row.path[depth + 1 :])
        rows = tuple(block[place].index for block in run)
        yield Folded(f"{'.'.join(path)} x{len(run)}", rows)
