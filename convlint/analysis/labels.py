"""Labels of a tensor's elements, kept only over the dims along which they differ.

A cell is a bit mask: bit i says that the element depends on label i. ``computed`` is one more
bit above the labels, set where labels met by computation and not by movement alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from convlint.analysis.shapes import blocks, same_elements

Ints = tuple[int, ...]

MOST_CELLS = 1 << 20
"""More cells than this are not followed: the value counts as mixed."""


class NotFollowed(Exception):
    """The labels vary over too many elements, or the shapes do not tell where they went."""


@dataclass(frozen=True, slots=True)
class Labels:
    """``cells`` in row-major order over ``dims`` (ascending) of ``sizes``; uniform elsewhere."""

    dims: Ints
    sizes: Ints
    cells: tuple[int, ...]

    def size(self, dim: int) -> int:
        """Return the length of a dim along which the labels vary."""
        return self.sizes[self.dims.index(dim)]

    def rename(self, names: Callable[[int], int]) -> Labels:
        """Return the labels with every dim renumbered; the order of the dims must stay."""
        return Labels(tuple(map(names, self.dims)), self.sizes, self.cells)

    def simplified(self) -> Labels:
        """Return the same labels without dims along which nothing varies."""
        if len(self.dims) == 1 and self.cells:
            return self if len(set(self.cells)) > 1 else uniform(self.cells[0])
        found = self
        for dim in self.dims:
            slices = _slices(found, dim)
            if all(part == slices[0] for part in slices):
                found = pick(found, {dim: (0,)}).without(dim)
        return found

    def without(self, dim: int) -> Labels:
        """Return the labels without a dim of length 1."""
        place = self.dims.index(dim)
        dims = self.dims[:place] + self.dims[place + 1 :]
        return Labels(dims, self.sizes[:place] + self.sizes[place + 1 :], self.cells)


def uniform(cell: int) -> Labels:
    """Return labels that are the same everywhere."""
    return Labels((), (), (cell,))


def along(dim: int, cells: Iterable[int]) -> Labels:
    """Return labels that vary along one dim."""
    cells = tuple(cells)
    return Labels((dim,), (len(cells),), cells)


def _strides(sizes: Sequence[int]) -> list[int]:
    strides = [1] * len(sizes)
    for place in range(len(sizes) - 2, -1, -1):
        strides[place] = strides[place + 1] * sizes[place + 1]
    return strides


def _take(cells: Sequence[int], offsets: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the cells at all sums of one offset per dim, in row-major order."""
    _require_few(math.prod(map(len, offsets)))
    places = [0]
    for choices in offsets:
        places = [place + step for place in places for step in choices]
    return tuple([cells[place] for place in places])


def _require_few(cells: int) -> None:
    if cells > MOST_CELLS:
        raise NotFollowed


def _slices(labels: Labels, dim: int) -> list[tuple[int, ...]]:
    """Return the cells at each position of one dim."""
    first = permuted(labels, (dim, *(other for other in labels.dims if other != dim)))
    step = len(first) // labels.size(dim)
    return [first[start : start + step] for start in range(0, len(first), step)]


def permuted(labels: Labels, order: Sequence[int]) -> tuple[int, ...]:
    """Return the cells in row-major order over the dims as listed in ``order``."""
    strides = dict(zip(labels.dims, _strides(labels.sizes), strict=True))
    ranges = [[strides[d] * i for i in range(labels.size(d))] for d in order]
    return _take(labels.cells, ranges)


def renumbered(labels: Labels, names: dict[int, int]) -> Labels:
    """Return the labels with dims renamed in any order (a permutation of axes)."""
    order = sorted(labels.dims, key=lambda dim: names[dim])
    sizes = tuple(labels.size(dim) for dim in order)
    return Labels(tuple(names[dim] for dim in order), sizes, permuted(labels, order))


def pick(labels: Labels, positions: Mapping[int, Sequence[int]]) -> Labels:
    """Return the labels at chosen positions of some dims; uniform dims do not change.

    Position -1 stands for an element that is put in: it has no label.
    """
    chosen = {dim: list(where) for dim, where in positions.items() if dim in labels.dims}
    if not chosen:
        return labels
    nothing = len(labels.cells)
    offsets = []
    for dim, size, stride in zip(labels.dims, labels.sizes, _strides(labels.sizes), strict=True):
        where = chosen.get(dim, range(size))
        offsets.append([p * stride if p >= 0 else nothing for p in where])
    if any(-1 in where for where in chosen.values()):
        cells = _take_or_nothing(labels.cells, offsets)
    else:
        cells = _take(labels.cells, offsets)
    return Labels(labels.dims, tuple(map(len, offsets)), cells)


def _take_or_nothing(cells: Sequence[int], offsets: Sequence[Sequence[int]]) -> tuple[int, ...]:
    _require_few(math.prod(map(len, offsets)))
    end = len(cells)
    places = (sum(steps) for steps in itertools.product(*offsets))
    return tuple(cells[place] if place < end else 0 for place in places)


def spread(labels: Labels, sizes: dict[int, int]) -> Labels:
    """Return the labels written out over exactly these dims (those they vary on included)."""
    dims = tuple(sorted(sizes))
    strides = dict(zip(labels.dims, _strides(labels.sizes), strict=True))
    offsets = [[strides.get(dim, 0) * i for i in range(sizes[dim])] for dim in dims]
    return Labels(dims, tuple(sizes[dim] for dim in dims), _take(labels.cells, offsets))


def union(values: Sequence[Labels]) -> Labels:
    """Return cell by cell what any of the values depends on."""
    sizes = {dim: size for v in values for dim, size in zip(v.dims, v.sizes, strict=True)}
    _require_few(math.prod(sizes.values()))
    first, *others = (spread(value, sizes) for value in values)
    cells = first.cells
    for other in others:
        cells = tuple([a | b for a, b in zip(cells, other.cells, strict=True)])
    return Labels(first.dims, first.sizes, cells)


def merge_along(labels: Labels, dim: int, flag: int = 0) -> Labels:
    """Return the union along one dim, which becomes uniform; ``flag`` marks what grew by it."""
    if dim not in labels.dims:
        return labels
    parts = _slices(labels, dim)
    cells = tuple([_merged(column, flag) for column in zip(*parts, strict=True)])
    return replace(pick(labels, {dim: (0,)}).without(dim), cells=cells)


def _merged(cells: Sequence[int], flag: int) -> int:
    total = 0
    for cell in cells:
        total |= cell
    return total | flag if any(cell != total for cell in cells) else total


def joined(values: Sequence[Labels], axis: int, lengths: Sequence[int]) -> Labels:
    """Return the values concatenated along ``axis``, each this long there."""
    if axis not in values[0].dims and all(value == values[0] for value in values):
        return values[0]
    if all(value.dims in ((), (axis,)) for value in values):
        return _in_a_row(values, axis, lengths)
    sizes = {
        dim: size
        for value in values
        for dim, size in zip(value.dims, value.sizes, strict=True)
        if dim != axis
    }
    _require_few(math.prod(sizes.values()) * sum(lengths))
    order = (axis, *sorted(sizes))
    cells: list[int] = []
    for value, length in zip(values, lengths, strict=True):
        cells += permuted(spread(value, {**sizes, axis: length}), order)
    rest = [sizes[dim] for dim in order[1:]]
    return _from_order(order, [sum(lengths), *rest], cells)


def _in_a_row(values: Sequence[Labels], axis: int, lengths: Sequence[int]) -> Labels:
    """Return values that vary along ``axis`` at most, one after the other."""
    _require_few(sum(lengths))
    cells: list[int] = []
    for value, length in zip(values, lengths, strict=True):
        cells += value.cells if value.dims else value.cells * length
    return along(axis, cells)


def _from_order(order: Sequence[int], sizes: Sequence[int], cells: Sequence[int]) -> Labels:
    """Return labels from cells that are in row-major order over dims in any order."""
    strides = dict(zip(order, _strides(sizes), strict=True))
    lengths = dict(zip(order, sizes, strict=True))
    dims = tuple(sorted(order))
    offsets = [[strides[dim] * i for i in range(lengths[dim])] for dim in dims]
    return Labels(dims, tuple(lengths[dim] for dim in dims), _take(cells, offsets))


def reshaped(labels: Labels, source: Ints, result: Ints) -> Labels:
    """Return the labels after a row-major reshape from one shape to the other."""
    if not labels.dims:
        return labels
    if not same_elements(source, result):
        raise NotFollowed
    written: dict[int, int] = {}
    dims: list[int] = []
    for block in blocks(source, result):
        if any(dim in labels.dims for dim in block.source):
            written |= {dim: source[dim] for dim in block.source}
            dims += block.result
    _require_few(math.prod(written.values()))
    cells = spread(labels, written).cells
    return Labels(tuple(dims), tuple(result[dim] for dim in dims), cells).simplified()
