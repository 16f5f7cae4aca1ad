"""The cost table in words: headings, cells, the lines above and below, for every format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convlint.costs import CostReport, CostRow, ModelCosts, PeerLine
from convlint_reports import numbers
from convlint_reports.modules import ROOT
from convlint_reports.words import cut

COUNTING = (
    "MACs = multiply-accumulates of convolutions and matrix products; FLOPs = 2 x MACs;"
    " bytes moved = read + written when nothing is fused"
)
HEADINGS = ("kind", "MACs", "%", "params", "moved", "%", "MACs/byte", "bound by")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One line of the side-by-side table: a cell a model, and the last over the first."""

    label: str
    cells: tuple[str, ...]
    ratio: str


def name(row: CostRow) -> str:
    """Return what a row is called: "layer1.1-2.conv1 x2"."""
    module = cut(row.module) or ROOT
    return f"{module} x{row.times}" if row.times > 1 else module


def cells(row: CostRow) -> tuple[str, ...]:
    """Return the cells of a row, under HEADINGS."""
    return (
        cut(row.kind, 40) or "-",
        numbers.si(row.macs) if row.macs else "-",
        numbers.percent(row.macs_percent) if row.macs else "-",
        numbers.si(row.params) if row.params else "-",
        numbers.size(row.bytes_moved),
        numbers.percent(row.bytes_percent),
        "-" if row.intensity is None else f"{row.intensity:.3g}",
        row.bound or "-",
    )


def timed(report: CostReport, model: ModelCosts) -> tuple[str, ...]:
    """Return the time of a call as a sentence, if it was taken."""
    if model.nanoseconds is None:
        return ()
    return (f"a call takes {_milliseconds(model.nanoseconds)} here: {report.timed_on}",)


def facts(model: ModelCosts) -> tuple[str, ...]:
    """Return the totals of a model as sentences."""
    total = model.totals
    dtypes = ", ".join(f"{numbers.size(n)} {name}" for name, n in total.weight_bytes.items())
    where = f" (in {cut(total.peak_module) or ROOT})" if total.peak_activation_bytes else ""
    kinds = [(key, getattr(total.other_ops_by_kind, key)) for key in _kinds(model)]
    other = ", ".join(f"{key} {numbers.si(value)}" for key, value in kinds if value)
    return (
        f"{numbers.macs(total.macs)}, {numbers.si(total.params)} params"
        f" ({dtypes or 'no weights'}; buffers {numbers.size(total.buffer_bytes)})",
        f"activations: {numbers.size(total.activation_bytes)} written, at most"
        f" {numbers.size(total.peak_activation_bytes)} alive at once{where}",
        f"other operations: {numbers.si(total.other_ops)}" + (f" ({other})" if other else ""),
    )


def _kinds(model: ModelCosts) -> tuple[str, ...]:
    return model.totals.other_ops_by_kind.__struct_fields__


def bound(report: CostReport, model: ModelCosts) -> str:
    """Return how much of the model is bound by memory traffic, with the ridge it was told by."""
    total = model.totals
    moved = total.bytes_read + total.activation_bytes
    share = numbers.percent(numbers.share(model.memory_bound_bytes, moved))
    macs = numbers.percent(numbers.share(model.memory_bound_macs, total.macs))
    return (
        f"under {report.ridge:g} MACs a byte, where memory traffic sets the pace:"
        f" {share} of the bytes moved, {macs} of the MACs"
    )


def side_by_side(report: CostReport) -> tuple[Quantity, ...]:
    """Return the models' totals, one line a quantity; a ratio where there are two models."""
    forms: tuple[tuple[str, Callable[[int], str], Callable[[ModelCosts], int]], ...] = (
        ("params", numbers.si, lambda m: m.totals.params),
        ("weights and buffers", numbers.size, lambda m: m.state_bytes),
        ("MACs", numbers.si, lambda m: m.totals.macs),
        ("other operations", numbers.si, lambda m: m.totals.other_ops),
        ("bytes moved", numbers.size, lambda m: m.totals.bytes_read + m.totals.activation_bytes),
        ("activations written", numbers.size, lambda m: m.totals.activation_bytes),
        ("peak activations", numbers.size, lambda m: m.totals.peak_activation_bytes),
    )
    if report.timed_on:
        forms = (*forms, (f"time here ({report.timed_on})", _milliseconds, _time))
    found = []
    for label, form, pick in forms:
        values = [pick(model) if model.status != "failed" else None for model in report.models]
        shown = tuple("-" if value is None else form(value) for value in values)
        found.append(Quantity(label, shown, _ratio(values)))
    return tuple(found)


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.3g} ms"


def _time(model: ModelCosts) -> int:
    return model.nanoseconds or 0


def _ratio(values: Sequence[int | None]) -> str:
    if len(values) != 2 or not values[0] or values[1] is None:
        return ""
    return f"{values[1] / values[0]:.3g}x"


def peer_words(model: ModelCosts) -> tuple[str, ...]:
    """Return what another tool would say, in sentences."""
    peer = model.peer
    if peer is None:
        return ()
    gap = numbers.change(peer.ours, peer.total)
    return (
        f"{peer.tool} {peer.version} would say {peer.total:,} {peer.unit}"
        f" = {numbers.si(peer.total)}; convlint counts {peer.ours:,} in that unit ({gap})",
        *(f"note: {note}" for note in peer.notes),
    )


def peer_place(line: PeerLine) -> str:
    """Return where a difference stands: its line, else its module, and how many there are."""
    at = line.location
    place = f"{at.path}:{at.line}" if at else cut(line.modules[0]) or ROOT
    return f"{place} x{len(line.modules)}" if len(line.modules) > 1 else place


def signed(value: int) -> str:
    """Return a difference with its sign: "+22.2 M"."""
    return f"+{numbers.si(value)}" if value > 0 else numbers.si(value)
