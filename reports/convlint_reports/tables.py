"""The tables of a page: totals before and after, and the layers one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convlint.contract import Layer, ModelReport, Totals
from convlint_reports import modules, numbers, savings
from convlint_reports.cards import line_of
from convlint_reports.numbers import typographic
from convlint_reports.words import cut


@dataclass(frozen=True, slots=True)
class TotalRow:
    """One quantity of the model: today, after the exact rewrites, after all of them."""

    label: str
    today: str
    exact: str
    exact_change: str
    exact_trend: str
    all: str
    all_change: str
    all_trend: str


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer; ``findings`` are (anchor, code) pairs."""

    module: str
    kind: str
    inputs: str
    outputs: str
    params: str
    macs: str
    percent: str
    bar: str
    mark: str
    activation: str
    field: str
    place: str
    findings: tuple[tuple[str, str], ...]


def total_rows(model: ModelReport) -> tuple[TotalRow, ...]:
    """Return the rows of the totals table."""
    quantities: tuple[tuple[str, Callable[[int], str], Callable[[Totals], int]], ...] = (
        ("MACs", numbers.si, lambda t: t.macs),
        ("Params", numbers.si, lambda t: t.params),
        ("Weights", numbers.size, lambda t: t.param_bytes),
        ("Activations written", numbers.size, lambda t: t.activation_bytes),
        ("Peak activations", numbers.size, lambda t: t.peak_activation_bytes),
    )
    exact, everything = savings.after(model)
    rows = []
    for label, form, pick in quantities:
        today, first, last = pick(model.totals), pick(exact), pick(everything)
        rows.append(
            TotalRow(
                label,
                form(today),
                form(first),
                *_change(today, first),
                form(last),
                *_change(today, last),
            )
        )
    return tuple(rows)


def _change(before: int, after: int) -> tuple[str, str]:
    trend = "less" if after < before else "more" if after > before else "equal"
    return typographic(numbers.change(before, after)), trend


def layer_rows(model: ModelReport, prefix: str) -> tuple[LayerRow, ...]:
    """Return one row a layer; anchors of findings start with ``prefix``."""
    found = modules.touched(model)
    total = model.totals.macs or sum(layer.macs for layer in model.layers)
    top = max((layer.macs for layer in model.layers), default=0)
    rows = []
    for layer in model.layers:
        hits = found.get(layer.module, ())
        links = tuple((f"{prefix}{hit.number}", cut(hit.finding.code, 40)) for hit in hits)
        rows.append(_row(layer, total, top, modules.mark(hits), links))
    return tuple(rows)


def _row(
    layer: Layer, total: int, top: int, mark: str, links: tuple[tuple[str, str], ...]
) -> LayerRow:
    call = f" (call {layer.call})" if layer.call > 1 else ""
    return LayerRow(
        module=(cut(layer.module) or "(root)") + call,
        kind=cut(layer.kind, 40),
        inputs=_shapes(layer.input_shapes),
        outputs=_shapes(layer.output_shapes),
        params=numbers.si(layer.params),
        macs=numbers.si(layer.macs),
        percent=numbers.percent(numbers.share(layer.macs, total)),
        bar=f"{numbers.share(layer.macs, top):.1f}%",
        mark=mark,
        activation=numbers.size(layer.activation_bytes),
        field=numbers.field(layer.receptive_field, "×"),
        place=line_of(layer.location),
        findings=links,
    )


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    listed = ", ".join(numbers.shape(shape, "×") for shape in shapes[:3])
    return f"{listed}, …" if len(shapes) > 3 else listed or "–"
