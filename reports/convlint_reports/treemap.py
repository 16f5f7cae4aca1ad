"""Layout of a treemap: rectangles whose areas are the values, as square as can be.

The squarified layout of Bruls, Huizing and van Wijk (2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle; y grows downwards."""

    x: float
    y: float
    width: float
    height: float


def squarify(values: Sequence[float], area: Rect) -> list[Rect]:
    """Return one rectangle a value, in the order given; a value of 0 gets an empty one."""
    total = sum(values)
    if total <= 0 or area.width <= 0 or area.height <= 0:
        return [Rect(area.x, area.y, 0.0, 0.0) for _ in values]
    scale = area.width * area.height / total
    order = sorted(range(len(values)), key=lambda i: -values[i])
    placed = _rows([values[i] * scale for i in order], area)
    result = [Rect(area.x, area.y, 0.0, 0.0)] * len(values)
    for index, rect in zip(order, placed, strict=True):
        result[index] = rect
    return result


def _rows(areas: list[float], free: Rect) -> list[Rect]:
    placed: list[Rect] = []
    start = 0
    while start < len(areas):
        side = min(free.width, free.height)
        stop = start + 1
        while stop < len(areas) and _keeps_square(areas, start, stop, side):
            stop += 1
        row, free = _row(areas[start:stop], free)
        placed += row
        start = stop
    return placed


def _keeps_square(areas: list[float], start: int, stop: int, side: float) -> bool:
    now, longer = areas[start:stop], areas[start : stop + 1]
    return _worst(longer, side) <= _worst(now, side)


def _worst(row: list[float], side: float) -> float:
    """Return the longest ratio of sides in a row laid along ``side``."""
    total, low, high = sum(row), min(row), max(row)
    if side <= 0 or low <= 0:
        return float("inf")
    return max(side * side * high / (total * total), total * total / (side * side * low))


def _row(row: list[float], free: Rect) -> tuple[list[Rect], Rect]:
    """Lay a row along the shorter side; return it and what is left free."""
    total = sum(row)
    rects = []
    if free.width >= free.height:
        depth, at = (total / free.height if free.height else 0.0), free.y
        for area in row:
            length = area / depth if depth else 0.0
            rects.append(Rect(free.x, at, depth, length))
            at += length
        return rects, Rect(free.x + depth, free.y, max(0.0, free.width - depth), free.height)
    depth, at = (total / free.width if free.width else 0.0), free.x
    for area in row:
        length = area / depth if depth else 0.0
        rects.append(Rect(at, free.y, length, depth))
        at += length
    return rects, Rect(free.x, free.y + depth, free.width, max(0.0, free.height - depth))
