"""Keeps a model's declared input lists together: what is found at one has to hold at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

from convlint.discover.found import Found

Answer = TypeVar("Answer")


def part(found: Sequence[Found], shard: tuple[int, int]) -> tuple[Found, ...]:
    """Return the K-th of N parts: every N-th model, with all its input lists."""
    number, count = shard
    models = accumulate(item.alternative[0] == 1 for item in found)
    return tuple(
        item for item, model in zip(found, models, strict=True) if (model - number) % count == 0
    )


def by_model(
    answers: Iterable[tuple[Found, Answer]],
) -> Iterator[tuple[tuple[Found, Answer], ...]]:
    """Yield the answers about each model as soon as the last of them is there."""
    same: list[tuple[Found, Answer]] = []
    for item, answer in answers:
        same.append((item, answer))
        number, count = item.alternative
        if number == count:
            yield tuple(same)
            same.clear()
