"""How a row-major reshape relates the dims of two shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

Ints = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Dims ``source`` of the old shape hold the same elements as dims ``result`` of the new."""

    source: tuple[int, ...]
    result: tuple[int, ...]


def blocks(source: Ints, result: Ints) -> tuple[Block, ...]:
    """Factor a reshape into minimal blocks of dims with equal products.

    Dims of length 1 that no block needs stand in blocks of their own, with nothing on the
    other side. Both shapes must pass :func:`same_elements`.
    """
    found: list[Block] = []
    i = j = 0
    while i < len(source) or j < len(result):
        if i < len(source) and source[i] == 1:
            paired = j < len(result) and result[j] == 1
            found.append(Block((i,), (j,) if paired else ()))
            i, j = i + 1, j + paired
        elif j < len(result) and result[j] == 1:
            found.append(Block((), (j,)))
            j += 1
        else:
            ends = _end_of_block(source, i, result, j)
            found.append(Block(tuple(range(i, ends[0])), tuple(range(j, ends[1]))))
            i, j = ends
    return tuple(found)


def _end_of_block(source: Ints, i: int, result: Ints, j: int) -> tuple[int, int]:
    before, after = source[i], result[j]
    i, j = i + 1, j + 1
    while before != after:
        if before < after:
            before, i = before * source[i], i + 1
        else:
            after, j = after * result[j], j + 1
    return i, j


def same_elements(source: Ints, result: Ints) -> bool:
    """Tell whether both shapes hold the same number of elements, and not 0."""
    return math.prod(source) == math.prod(result) != 0


def surviving_dims(source: Ints, result: Ints) -> dict[int, int]:
    """Return which old dims are a dim of the new shape, alone and whole."""
    if not same_elements(source, result):
        return {}
    return {
        block.source[0]: block.result[0]
        for block in blocks(source, result)
        if len(block.source) == 1 and len(block.result) == 1
    }
