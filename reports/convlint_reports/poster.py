"""The pictures of a run one below the other: the view model of the SVG report."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.contract import ModelReport, RunReport
from convlint_reports import savings
from convlint_reports.numbers import typographic
from convlint_reports.picture import Picture, picture
from convlint_reports.sections import HEADINGS
from convlint_reports.words import cleaned, cut

HEAD, DRAWING, GAP = 92, 566, 44


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of the legend, ``x`` pixels from the left."""

    x: int
    text_x: int
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class Plate:
    """One model's picture, ``y`` pixels from the top; ``maps`` holds none or one."""

    y: int
    target: str
    headline: str
    keys: tuple[Key, ...]
    maps: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Poster:
    """All pictures and the size of the whole."""

    height: int
    title: str
    plates: tuple[Plate, ...]


def poster(run: RunReport) -> Poster:
    """Return the pictures of every model in order."""
    plates = []
    y = 28
    for model in cleaned(run).models:
        plate = _plate(model, y)
        plates.append(plate)
        y += HEAD + (DRAWING if plate.maps else 0) + GAP
    title = "; ".join(plate.target for plate in plates[:3]) or "convlint"
    return Poster(max(y, 60), cut(title, 200), tuple(plates))


def _plate(model: ModelReport, y: int) -> Plate:
    drawn = picture(model)
    return Plate(
        y=y,
        target=cut(model.target, 110),
        headline=cut(typographic(savings.headline(model)), 150),
        keys=_keys(model) if drawn else (),
        maps=(drawn,) if drawn else (),
    )


def _keys(model: ModelReport) -> tuple[Key, ...]:
    sections = {savings.section(f) for f in savings.live(model.findings)}
    names = [("", "no finding")]
    names += [
        (kind.value, title.lower()) for kind, (title, _) in HEADINGS.items() if kind in sections
    ]
    keys = []
    x = 0
    for css, title in names:
        keys.append(Key(x, x + 18, css, title))
        x += 44 + 7 * len(title)
    return tuple(keys)
