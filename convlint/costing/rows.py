"""One row for every node that costs anything, in execution order."""

from __future__ import annotations

import msgspec

from convlint.analysis.receptive_field import Field, receptive_fields
from convlint.contract import ReceptiveField
from convlint.cost import GraphCost
from convlint.costs import CostRow
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

SUMS = (
    "times",
    "macs",
    "params",
    "param_bytes",
    "other_ops",
    "bytes_read",
    "bytes_written",
    "bytes_moved",
)


def rows_of(graph: ModelGraph, cost: GraphCost) -> tuple[CostRow, ...]:
    """Return the rows; views and what else costs nothing are left out.

    Parameters count where their storage is first used, so that the column adds up.
    """
    fields = receptive_fields(graph)
    seen: set[str] = set()
    found = []
    for node in graph:
        row = _row(graph, node, cost, seen, fields.get(node.id))
        if row.macs or row.params or row.bytes_moved or row.other_ops:
            found.append(row)
    return tuple(found)


def _row(
    graph: ModelGraph, node: Node, cost: GraphCost, seen: set[str], field: Field | None
) -> CostRow:
    counted = cost.nodes[node.id]
    new = {p.storage: p for p in node.params if not p.buffer and p.storage not in seen}
    seen.update(new)
    return CostRow(
        module=_owner(node),
        kind=node.kind,
        macs=counted.macs,
        params=sum(param.elements for param in new.values()),
        param_bytes=sum(param.bytes for param in new.values()),
        other_ops=counted.other_ops,
        bytes_read=counted.bytes_read,
        bytes_written=counted.bytes_written,
        bytes_moved=counted.bytes_moved,
        input_shapes=tuple(spec.shape for spec in graph.input_specs(node)),
        output_shapes=tuple(spec.shape for spec in node.outputs),
        receptive_field=_field(field),
        location=node.location,
    )


def _owner(node: Node) -> str:
    """Return the module of a node; a parameter that is read as it is belongs to its module."""
    if node.kind == "constant" and node.params:
        return node.params[0].name.rpartition(".")[0]
    return node.module


def _field(field: Field | None) -> ReceptiveField | None:
    if field is None:
        return None
    low, high = (
        None if side is None else tuple(map(float, side)) for side in (field.min, field.max)
    )
    return ReceptiveField(min=low, max=high)


def together(rows: tuple[CostRow, ...], **names: object) -> CostRow:
    """Return the sum of rows; what is not the same in all of them is left out."""
    sums = {name: sum(getattr(row, name) for row in rows) for name in SUMS}
    first = rows[0]
    same = {
        name: getattr(first, name)
        for name in ("kind", "input_shapes", "output_shapes", "receptive_field", "location")
        if all(getattr(row, name) == getattr(first, name) for row in rows)
    }
    return msgspec.structs.replace(
        CostRow(module=first.module, kind=""), **{**same, **sums, **names}
    )


def rated(row: CostRow, macs: int, moved: int, ridge: float) -> CostRow:
    """Return the row with its shares of the model's MACs and bytes, intensity and bound."""
    intensity = row.macs / row.bytes_moved if row.bytes_moved else None
    bound = ""
    if intensity is not None:
        bound = "memory" if intensity < ridge else "compute"
    return msgspec.structs.replace(
        row,
        macs_percent=_percent(row.macs, macs),
        bytes_percent=_percent(row.bytes_moved, moved),
        intensity=None if intensity is None else round(intensity, 3),
        bound=bound,
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
