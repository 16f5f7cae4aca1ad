"""Layers by the part of the model they belong to, and which findings touch them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convlint.contract import Finding, Layer, ModelReport
from convlint_reports import savings
from convlint_reports.savings import Section
from convlint_reports.words import cut

ROOT = "(root)"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the model, named by its module path, with its layers in execution order."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def macs(self) -> int:
        """MACs of all its layers."""
        return sum(layer.macs for layer in self.layers)


def parts(layers: Sequence[Layer]) -> tuple[Part, ...]:
    """Return the parts in execution order: the children of the modules' common ancestor."""
    paths = [layer.module.split(".") if layer.module else [] for layer in layers]
    depth = _common(paths) + 1
    grouped: dict[str, list[Layer]] = {}
    for path, layer in zip(paths, layers, strict=True):
        grouped.setdefault(".".join(path[:depth]) or ROOT, []).append(layer)
    return tuple(Part(name, tuple(found)) for name, found in grouped.items())


def _common(paths: Sequence[Sequence[str]]) -> int:
    """Return how many leading names all paths share, the last name of each left out."""
    shortest = min((len(path) for path in paths), default=1)
    depth = 0
    while depth < shortest - 1 and len({path[depth] for path in paths}) == 1:
        depth += 1
    return depth


def within(layer: Layer, part: Part) -> str:
    """Return a layer's name inside its part, with the call where it runs more than once."""
    name = layer.module.removeprefix(part.name).lstrip(".") or layer.module or layer.kind
    return f"{name} (call {layer.call})" if layer.call > 1 else name


def called(layer: Layer) -> str:
    """Return what a layer is called in a table: its path, with the call where there are more."""
    call = f" (call {layer.call})" if layer.call > 1 else ""
    return (cut(layer.module) or ROOT) + call


def side(layer: Layer) -> float | None:
    """Return the side of a layer's output as if it were square; None without spatial axes."""
    sizes = layer.output_shapes[0][2:] if layer.output_shapes else ()
    if not sizes or min(sizes) < 1:
        return None
    return float(f"{math.prod(sizes) ** (1 / len(sizes)):.1f}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A live finding and its number among the model's, counted from 1 by saving."""

    number: int
    finding: Finding


def touched(model: ModelReport) -> dict[str, tuple[Hit, ...]]:
    """Return the live findings of each module that has any."""
    found: dict[str, tuple[Hit, ...]] = {}
    for number, finding in enumerate(savings.live(model.findings), 1):
        for module in finding.modules:
            found[module] = (*found.get(module, ()), Hit(number, finding))
    return found


def mark(hits: Sequence[Hit]) -> str:
    """Return the strongest section among findings, "" where there are none."""
    kinds = {savings.section(hit.finding) for hit in hits}
    order = (Section.EXACT, Section.RETRAIN, Section.NOTE, Section.BUDGET)
    return next((kind.value for kind in order if kind in kinds), "")
