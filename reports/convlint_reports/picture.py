"""Where the MACs are: a treemap by module and the layers in execution order, as numbers.

Widths are percent and heights are pixels, so the drawing fills any column while its text
keeps its size. A label carries the width class ("s", "m", "l") of the page it needs to fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from convlint.contract import Layer, ModelReport
from convlint_reports import modules, numbers
from convlint_reports.modules import Hit, Part
from convlint_reports.treemap import Rect, squarify
from convlint_reports.words import cut

WIDTH, HEIGHT, STRIP, TRACK = 1080.0, 340.0, 132.0, 40.0
HEAD = 19.0
EDGE = 2.0
SMALLEST = 0.00002
_FITS = ((320.0, "s"), (680.0, "m"), (WIDTH, "l"))

Found = Mapping[str, Sequence[Hit]]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, its geometry written for SVG; ``css`` is the finding's section."""

    x: str
    y: str
    width: str
    height: str
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    """A word at a place; ``css`` says what it names and from which page width it fits."""

    x: str
    y: str
    css: str
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the drawing shows; ``summary`` says it in words.

    ``levels`` are the second track of the strip: the side of the layers' outputs, on a
    logarithmic scale.
    """

    parts: tuple[Box, ...]
    tiles: tuple[Box, ...]
    labels: tuple[Label, ...]
    bars: tuple[Box, ...]
    spans: tuple[Label, ...]
    levels: tuple[Box, ...]
    sides: tuple[Label, ...]
    summary: str


def picture(model: ModelReport) -> Picture | None:
    """Return the picture of a model, None where no layer has MACs."""
    layers = tuple(layer for layer in model.layers if layer.macs > 0)
    if not layers:
        return None
    total = sum(layer.macs for layer in layers)
    found = modules.touched(model)
    divided = modules.parts(layers)
    areas = squarify([float(part.macs) for part in divided], Rect(0, 0, WIDTH, HEIGHT))
    boxes: list[Box] = []
    tiles: list[Box] = []
    labels: list[Label] = []
    for part, area in zip(divided, areas, strict=True):
        head = _part_label(part, area)
        boxes.append(_box(area, "", _title(part.name, part.macs, total)))
        labels += head
        for layer, rect in _inside(part, area, bool(head), total):
            mark = modules.mark(found.get(layer.module, ()))
            tiles.append(_box(rect, mark, _layer_title(layer, total, found)))
            labels += _label(rect, modules.within(layer, part), "tag", 6.5, 6.0)
    return Picture(
        parts=tuple(boxes),
        tiles=tuple(tiles),
        labels=tuple(labels),
        bars=tuple(_bars(layers, total, found)),
        spans=tuple(_spans(layers, divided)),
        levels=tuple(_levels(layers)),
        sides=tuple(_sides(layers)),
        summary=_summary(divided, total),
    )


def _summary(divided: Sequence[Part], total: int) -> str:
    top = sorted(divided, key=lambda part: -part.macs)[:4]
    listed = ", ".join(f"{cut(part.name, 60)} {_share(part.macs, total)}" for part in top)
    return f"Most of the MACs: {listed}."


def _part_label(part: Part, area: Rect) -> list[Label]:
    alone = [layer.module for layer in part.layers] == [part.name]
    return [] if alone else _label(area, part.name, "part", 7.4, 8.0, room=2.5 * HEAD)


def _inside(part: Part, area: Rect, headed: bool, total: int) -> Iterator[tuple[Layer, Rect]]:
    """Yield a part's layers in the room under its name, where the name is shown."""
    head = HEAD if headed else 0.0
    width, height = max(0.0, area.width - 2 * EDGE), max(0.0, area.height - head - EDGE)
    free = Rect(area.x + EDGE, area.y + head, width, height)
    shown = [layer for layer in part.layers if layer.macs > total * SMALLEST]
    return zip(shown, squarify([float(layer.macs) for layer in shown], free), strict=True)


def _box(area: Rect, mark: str, title: str) -> Box:
    x, width = _percent(area.x), _percent(area.width)
    return Box(x, f"{area.y:.1f}", width, f"{area.height:.1f}", mark, title)


def _label(
    area: Rect, text: str, css: str, letter: float, inset: float, room: float = HEAD
) -> list[Label]:
    """Return the label of a box, or none where it fits at no width of the page."""
    short = cut(text, 60)
    fit = _fit(len(short) * letter + inset + 8, area.width / WIDTH)
    if not fit or area.height < room:
        return []
    return [Label(_percent(area.x), f"{area.y + 14.5:.1f}", f"{css} fit-{fit}", short)]


def _fit(need: float, share: float) -> str:
    """Return the narrowest page class on which ``need`` pixels fit into a share of it."""
    return next((name for width, name in _FITS if width * share >= need), "")


def _bars(layers: Sequence[Layer], total: int, found: Found) -> Iterator[Box]:
    step, top = 100.0 / len(layers), max(layer.macs for layer in layers)
    for index, layer in enumerate(layers):
        height = max(1.0, STRIP * layer.macs / top)
        mark = modules.mark(found.get(layer.module, ()))
        x, width = f"{index * step:.3f}%", f"{step * 0.86:.3f}%"
        title = _layer_title(layer, total, found)
        yield Box(x, f"{STRIP - height:.1f}", width, f"{height:.1f}", mark, title)


def _spans(layers: Sequence[Layer], divided: Sequence[Part]) -> Iterator[Label]:
    """Yield the names under the strip, one a run of layers of the same part."""
    names = {id(layer): part.name for part in divided for layer in part.layers}
    for name, start, stop in _runs([names[id(layer)] for layer in layers]):
        share, label = (stop - start) / len(layers), cut(str(name), 60)
        fit = _fit(len(label) * 6.5 + 8, share)
        if fit:
            yield Label(f"{100 * start / len(layers):.3f}%", "15", f"axis fit-{fit}", label)


def _runs(values: Sequence[object]) -> Iterator[tuple[object, int, int]]:
    """Yield (value, start, stop) for each run of equal values."""
    start = 0
    for value, found in groupby(values):
        stop = start + len(list(found))
        yield value, start, stop
        start = stop


def _levels(layers: Sequence[Layer]) -> Iterator[Box]:
    sides = [modules.side(layer) for layer in layers]
    top = math.log2(1 + max((side or 0.0 for side in sides), default=0.0))
    for side, start, stop in _runs(sides):
        if not isinstance(side, float) or not top:
            continue
        height = max(2.0, TRACK * math.log2(1 + side) / top)
        x, width = 100 * start / len(layers), 100 * (stop - start) / len(layers)
        title = f"{side:g}×{side:g}, {stop - start} layers"
        y, tall = f"{TRACK - height:.1f}", f"{height:.1f}"
        yield Box(f"{x:.3f}%", y, f"{width:.3f}%", tall, "level", title)


def _sides(layers: Sequence[Layer]) -> Iterator[Label]:
    for side, start, stop in _runs([modules.side(layer) for layer in layers]):
        text = f"{side:g}" if isinstance(side, float) else ""
        fit = _fit(len(text) * 6.5 + 8, (stop - start) / len(layers))
        if text and fit:
            x = f"{100 * start / len(layers):.3f}%"
            yield Label(x, f"{TRACK - 4:g}", f"tag fit-{fit}", text)


def _layer_title(layer: Layer, total: int, found: Found) -> str:
    hits = found.get(layer.module, ())
    codes = ", ".join(f"{hit.finding.code} {cut(hit.finding.name, 60)}" for hit in hits)
    return _title(layer.module or layer.kind, layer.macs, total) + (f"\n{codes}" if codes else "")


def _title(name: str, macs: int, total: int) -> str:
    return f"{cut(name)}\n{numbers.macs(macs)}, {_share(macs, total)}"


def _share(macs: int, total: int) -> str:
    return numbers.percent(numbers.share(macs, total)).replace(" ", "\u00a0")


def _percent(x: float) -> str:
    return f"{100 * x / WIDTH:.3f}%"
