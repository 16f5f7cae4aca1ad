"""Repeated blocks as one: "layer1.1-2.conv1 x2" with the sums of both.

A block is what stands under one number of a module path ("layer1.1"). Neighbouring blocks with
the same parts, kinds, shapes and costs, in the same order, become one; blocks inside blocks too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import msgspec

from convlint.costing.rows import SUMS, together
from convlint.costs import CostRow

_Row = tuple[tuple[str, ...], CostRow]
"""A row and its module path in parts."""


def folded(rows: Iterable[CostRow]) -> tuple[CostRow, ...]:
    """Return the rows with runs of equal blocks put together."""
    split = [(tuple(row.module.split(".")) if row.module else (), row) for row in rows]
    return tuple(
        msgspec.structs.replace(row, module=".".join(path)) for path, row in _fold(split, 0)
    )


def _fold(rows: list[_Row], start: int) -> list[_Row]:
    """Fold the blocks that begin at the first number at or after part ``start`` of a path."""
    found: list[_Row] = []
    for prefix, group in itertools.groupby(rows, lambda row: _before_number(row[0], start)):
        if prefix is None:
            found += group
            continue
        for run in _runs(list(group), len(prefix)):
            found += _fold(_joined(run, len(prefix)), len(prefix) + 1)
    return found


def _before_number(path: tuple[str, ...], start: int) -> tuple[str, ...] | None:
    for place, part in enumerate(path[start:], start):
        if part.isdigit():
            return path[:place]
    return None


def _runs(rows: list[_Row], depth: int) -> list[list[list[_Row]]]:
    """Return runs of neighbouring blocks, of those numbered at ``depth``, that look the same."""
    blocks = [list(block) for _, block in itertools.groupby(rows, lambda row: row[0][depth])]
    looks = itertools.groupby(blocks, lambda block: [_look(row, depth) for row in block])
    return [list(run) for _, run in looks]


def _look(row: _Row, depth: int) -> tuple[object, ...]:
    path, values = row
    shapes = (values.input_shapes, values.output_shapes)
    sums = (getattr(values, name) for name in SUMS)
    return (path[:depth], path[depth + 1 :], values.kind, values.location, *shapes, *sums)


def _joined(run: list[list[_Row]], depth: int) -> list[_Row]:
    if len(run) == 1:
        return run[0]
    numbers = [block[0][0][depth] for block in run]
    label = f"{numbers[0]}-{numbers[-1]}"
    if [int(number) for number in numbers] != list(range(int(numbers[0]), int(numbers[-1]) + 1)):
        label = ",".join(numbers)
    made = []
    for same in zip(*run, strict=True):
        path = same[0][0]
        row = together(tuple(row for _, row in same), receptive_field=same[-1][1].receptive_field)
        made.append(((*path[:depth], label, *path[depth + 1 :]), row))
    return made
