"""What a row of the table is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

Maker = Callable[[], nn.Module]
Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A model now and with the rewrites of exact rules made: ``rules`` are codes.

    ``profile`` is the target under which the rule speaks. ``whole`` nets are not given to
    ``torch.compile``, which takes minutes for them: a row of their part has its figure.
    """

    name: str
    what: str
    make: Maker
    shapes: Shapes
    rules: tuple[str, ...]
    profile: str = "generic"
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Swapped:
    """A layer and what one could build in its place: not the same function.

    ``variants`` are (words, maker); the first is what the others are compared with.
    """

    name: str
    what: str
    variants: tuple[tuple[str, Maker], ...]
    shapes: Shapes


Row = Rewritten | Swapped
