"""From a checked model to what it costs."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.contract import ModelReport
from convlint.cost import count
from convlint.costing.peer import peer_costs
from convlint.costing.rows import rated, rows_of
from convlint.costing.table import by_kind, table
from convlint.costs import RIDGE, CostRow, ModelCosts
from convlint.ir.codec import open_document
from convlint.wire import Reply


@dataclass(frozen=True, slots=True)
class Asked:
    """How a table is to look, and the tool of ``--as``, if any.

    ``by`` is node, module, kind or line; ``depth`` how many parts of a module path are kept.
    """

    by: str = "node"
    depth: int | None = None
    fold: bool = True
    sort: str = ""
    peer: str = ""
    ridge: float = RIDGE


def costs_of(report: ModelReport, reply: Reply | None, asked: Asked) -> ModelCosts:
    """Return what the model of a report costs; one that was not read has its diagnostics only."""
    if reply is None or reply.graph is None or report.status == "failed":
        return ModelCosts(
            report.target, report.status, report.inputs, diagnostics=report.diagnostics
        )
    graph = open_document(reply.graph)
    cost = count(graph)
    rows = rows_of(graph, cost)

    def rate(lines: tuple[CostRow, ...]) -> tuple[CostRow, ...]:
        return tuple(rated(row, cost.macs, cost.bytes_moved, asked.ridge) for row in lines)

    slow = [row for row in rate(rows) if row.bound == "memory"]
    return ModelCosts(
        target=report.target,
        status=report.status,
        inputs=report.inputs,
        totals=report.totals,
        state_bytes=cost.param_bytes + cost.buffer_bytes,
        rows=rate(table(rows, asked.by, asked.depth, asked.fold, asked.sort)),
        kinds=rate(by_kind(rows)),
        memory_bound_bytes=sum(row.bytes_moved for row in slow),
        memory_bound_macs=sum(row.macs for row in slow),
        peer=peer_costs(asked.peer, graph) if asked.peer else None,
        diagnostics=report.diagnostics,
    )
