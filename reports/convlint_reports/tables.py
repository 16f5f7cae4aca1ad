"""The tables of a page: totals before and after, and the layers one by one."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.contract import Layer, ModelReport
from convlint.ir.nodes import SourceSpan
from convlint_reports import modules, numbers, quantities, savings
from convlint_reports.cards import line_of
from convlint_reports.numbers import typographic
from convlint_reports.quantities import Quantity
from convlint_reports.words import cut


@dataclass(frozen=True, slots=True)
class TotalRow:
    """One quantity of the model: now, after the exact rewrites, after all of them.

    ``now_change`` is the change since the base, "" where there is none.
    """

    label: str
    now: str
    now_change: str
    now_trend: str
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
    location: SourceSpan | None


def total_rows(model: ModelReport) -> tuple[TotalRow, ...]:
    """Return the rows of the totals table."""
    exact, everything = savings.after(model)
    rows = []
    for quantity in quantities.TOTALS:
        now, first, last = (quantity.total(t) for t in (model.totals, exact, everything))
        rows.append(
            TotalRow(
                quantity.label,
                quantity.cell(now),
                *_since(model, quantity),
                quantity.cell(first),
                *_change(now, first),
                quantity.cell(last),
                *_change(now, last),
            )
        )
    return tuple(rows)


def _since(model: ModelReport, quantity: Quantity) -> tuple[str, str]:
    if model.base is None:
        return "", ""
    return _change(quantity.total(model.base), quantity.total(model.totals))


def _change(before: int, after: int) -> tuple[str, str]:
    trend = "less" if after < before else "more" if after > before else "equal"
    return typographic(numbers.change(before, after)), trend


def layer_rows(model: ModelReport, anchor: str) -> tuple[LayerRow, ...]:
    """Return one row a layer; ``anchor`` is the model's: its findings are ``anchor``-f1, …"""
    found = modules.touched(model)
    total = model.totals.macs or sum(layer.macs for layer in model.layers)
    top = max((layer.macs for layer in model.layers), default=0)
    rows = []
    for layer in model.layers:
        hits = found.get(layer.module, ())
        links = tuple((f"{anchor}-f{hit.number}", cut(hit.finding.code, 40)) for hit in hits)
        rows.append(_row(layer, (total, top), modules.mark(hits), links))
    return tuple(rows)


def _row(
    layer: Layer, whole: tuple[int, int], mark: str, links: tuple[tuple[str, str], ...]
) -> LayerRow:
    total, top = whole
    share = numbers.share(layer.macs, total)
    return LayerRow(
        module=modules.called(layer),
        kind=cut(layer.kind, 40),
        inputs=_shapes(layer.input_shapes),
        outputs=_shapes(layer.output_shapes),
        params=numbers.si(layer.params) if layer.params else "–",
        macs=numbers.si(layer.macs) if layer.macs else "–",
        percent=numbers.percent(share) if layer.macs else "–",
        bar=f"{numbers.share(layer.macs, top):.1f}%",
        mark=mark,
        activation=numbers.size(layer.activation_bytes),
        field=numbers.field(layer.receptive_field, "×"),
        place=line_of(layer.location),
        findings=links,
        location=layer.location,
    )


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    listed = ", ".join(numbers.shape(shape, "×") for shape in shapes[:3])
    return f"{listed}, …" if len(shapes) > 3 else listed or "–"
