"""Where the MACs are: a treemap by module and the layers in execution order, as numbers.

Widths are percent and heights are pixels, so the drawing fills any column while its text
keeps its size. A label carries the width class ("s", "m", "l") of the page it needs to fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from convlint.contract import Layer, ModelReport
from convlint_reports import modules, numbers
from convlint_reports.modules import Hit, Part
from convlint_reports.numbers import typographic
from convlint_reports.treemap import Rect, squarify
from convlint_reports.words import cut

WIDTH, HEIGHT, STRIP = 1080.0, 340.0, 132.0
HEAD = 19.0
EDGE = 2.0
SMALLEST = 0.00002
_FITS = ((320.0, "s"), (680.0, "m"), (WIDTH, "l"))


@dataclass(frozen=True, slots=True)
class Box:
    """A labelled rectangle, its geometry written for SVG."""

    x: str
    y: str
    width: str
    height: str
    label: str
    fit: str
    mark: str
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the drawing shows; ``summary`` says it in words."""

    height: str
    strip: str
    parts: tuple[Box, ...]
    tiles: tuple[Box, ...]
    bars: tuple[Box, ...]
    spans: tuple[Box, ...]
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
    for part, area in zip(divided, areas, strict=True):
        box = _part(part, area, total)
        boxes.append(box)
        tiles += _tiles(part, _inside(area, box), total, found)
    return Picture(
        height=f"{HEIGHT:g}",
        strip=f"{STRIP:g}",
        parts=tuple(boxes),
        tiles=tuple(tiles),
        bars=tuple(_bars(layers, total, found)),
        spans=tuple(_spans(layers, divided)),
        summary=_summary(divided, total),
    )


def _summary(divided: Sequence[Part], total: int) -> str:
    top = sorted(divided, key=lambda part: -part.macs)[:4]
    listed = ", ".join(f"{cut(part.name, 60)} {_share(part.macs, total)}" for part in top)
    return f"Most of the MACs: {listed}."


def _part(part: Part, area: Rect, total: int) -> Box:
    alone = [layer.module for layer in part.layers] == [part.name]
    label = "" if alone else cut(part.name, 60)
    return _box(area, label, "", _title(part.name, part.macs, total), bold=True)


def _inside(area: Rect, box: Box) -> Rect:
    """Return the room for a part's tiles: under its name, where the name is shown."""
    head = HEAD if box.fit and area.height > 2.5 * HEAD else 0.0
    width, height = max(0.0, area.width - 2 * EDGE), max(0.0, area.height - head - EDGE)
    return Rect(area.x + EDGE, area.y + head, width, height)


def _tiles(part: Part, area: Rect, total: int, found: Mapping[str, Sequence[Hit]]) -> Iterator[Box]:
    shown = [layer for layer in part.layers if layer.macs > total * SMALLEST]
    for layer, rect in zip(shown, squarify([float(x.macs) for x in shown], area), strict=True):
        mark = modules.mark(found.get(layer.module, ()))
        title = _layer_title(layer, total, found)
        yield _box(rect, cut(modules.within(layer, part), 40), mark, title)


def _box(area: Rect, label: str, mark: str, title: str, *, bold: bool = False) -> Box:
    fit = _fit(len(label) * (7.4 if bold else 6.5) + 14, area.width / WIDTH)
    fit = fit if label and area.height >= HEAD else ""
    x, width = _percent(area.x), _percent(area.width)
    return Box(x, f"{area.y:.1f}", width, f"{area.height:.1f}", label, fit, mark, title)


def _fit(need: float, share: float) -> str:
    """Return the narrowest page class on which ``need`` pixels fit into a share of it."""
    return next((name for width, name in _FITS if width * share >= need), "")


def _bars(layers: Sequence[Layer], total: int, found: Mapping[str, Sequence[Hit]]) -> Iterator[Box]:
    step, top = 100.0 / len(layers), max(layer.macs for layer in layers)
    for index, layer in enumerate(layers):
        height = max(1.0, STRIP * layer.macs / top)
        mark = modules.mark(found.get(layer.module, ()))
        x, width = f"{index * step:.3f}%", f"{step * 0.86:.3f}%"
        title = _layer_title(layer, total, found)
        yield Box(x, f"{STRIP - height:.1f}", width, f"{height:.1f}", "", "", mark, title)


def _spans(layers: Sequence[Layer], divided: Sequence[Part]) -> Iterator[Box]:
    """Yield the names under the strip, one a run of layers of the same part."""
    names = {id(layer): part.name for part in divided for layer in part.layers}
    runs: list[tuple[str, int, int]] = []
    for index, layer in enumerate(layers):
        name = names[id(layer)]
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1], index + 1)
        else:
            runs.append((name, index, index + 1))
    for name, start, stop in runs:
        share = (stop - start) / len(layers)
        label = cut(name, 60)
        fit = _fit(len(label) * 6.5 + 8, share)
        x, width = f"{100 * start / len(layers):.3f}%", f"{100 * share:.3f}%"
        yield Box(x, "0", width, "18", label, fit, "", name)


def _layer_title(layer: Layer, total: int, found: Mapping[str, Sequence[Hit]]) -> str:
    hits = found.get(layer.module, ())
    codes = ", ".join(f"{hit.finding.code} {hit.finding.name}" for hit in hits)
    return _title(layer.module or layer.kind, layer.macs, total) + (f"\n{codes}" if codes else "")


def _title(name: str, macs: int, total: int) -> str:
    return f"{cut(name)}\n{numbers.macs(macs)}, {_share(macs, total)}"


def _share(macs: int, total: int) -> str:
    return typographic(numbers.percent(numbers.share(macs, total)))


def _percent(x: float) -> str:
    return f"{100 * x / WIDTH:.3f}%"
