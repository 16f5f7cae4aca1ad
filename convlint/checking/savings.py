"""What an edit saves, counted on the nodes it touches.

The difference equals the cost of the whole graph minus the cost of the whole edited graph:
nodes that are neither taken out, put in nor rewired cost the same in both. Only the touched
nodes are counted, so that a model with thousands of findings is not counted thousands of times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from convlint.contract import Saving, Totals
from convlint.cost import GraphCost, NodeCost, count_node
from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref, TensorSpec


def totals(cost: GraphCost) -> Totals:
    """Return the totals of a counted graph."""
    return Totals(
        params=cost.params,
        macs=cost.macs,
        param_bytes=cost.param_bytes,
        activation_bytes=cost.activation_bytes,
        peak_activation_bytes=cost.peak_activation_bytes,
        other_ops=cost.other_ops,
        buffer_bytes=cost.buffer_bytes,
        bytes_read=cost.bytes_read,
        weight_bytes=cost.weight_bytes,
        other_ops_by_kind=cost.other,
        peak_module=cost.peak_module,
    )


class Savings:
    """Counts edits of one graph against it."""

    def __init__(self, graph: ModelGraph, cost: GraphCost) -> None:
        self._graph = graph
        self._cost = cost
        self._uses = Counter(key for node in graph for key in _storages(node.params))
        self._uses.update(_storages(graph.unused).keys())

    def of(self, edit: GraphEdit) -> Saving:
        """Return the cost of the graph minus the cost of the edited graph."""
        taken = [self._graph[key] for key in edit.removed]
        before = [self._cost.nodes[node.id] for node in taken]
        after = self._count_added(edit)
        params, param_bytes = self._params(taken, edit.added)
        macs = _sum(before, "macs") - _sum(after, "macs")
        return Saving(
            macs=macs,
            params=params,
            param_bytes=param_bytes,
            activation_bytes=_sum(before, "bytes_written") - _sum(after, "bytes_written"),
            macs_percent=percent(macs, self._cost.macs),
            params_percent=percent(params, self._cost.params),
        )

    def _count_added(self, edit: GraphEdit) -> list[NodeCost]:
        made = {node.id: node for node in edit.added}

        def spec(ref: Ref) -> TensorSpec:
            for _ in range(len(edit.redirect) + 1):
                if ref.node in made or ref not in edit.redirect:
                    break
                ref = edit.redirect[ref]
            node = made.get(ref.node) or self._graph[ref.node]
            return node.outputs[ref.output]

        return [count_node(node, tuple(map(spec, node.inputs))) for node in edit.added]

    def _params(self, taken: Iterable[Node], added: Iterable[Node]) -> tuple[int, int]:
        """Return (elements, bytes) of storages that no node uses any more, minus the new ones."""
        gone: Counter[str] = Counter()
        known: dict[str, Param] = {}
        for node in taken:
            known.update(_storages(node.params))
            gone.update(_storages(node.params).keys())
        made: dict[str, Param] = {}
        for node in added:
            made.update(_storages(node.params))
        lost = [
            param
            for key, param in known.items()
            if gone[key] == self._uses[key] and key not in made
        ]
        new = [param for key, param in made.items() if key not in self._uses]
        return (
            sum(param.elements for param in lost) - sum(param.elements for param in new),
            sum(param.bytes for param in lost) - sum(param.bytes for param in new),
        )


def _storages(params: Iterable[Param]) -> dict[str, Param]:
    return {param.storage: param for param in params if not param.buffer}


def _sum(costs: Iterable[NodeCost], quantity: str) -> int:
    return sum(getattr(cost, quantity) for cost in costs)


def percent(part: int, whole: int) -> float:
    """Return the share in percent, rounded to 2 decimals; 0 of nothing is 0."""
    return round(100 * part / whole, 2) if whole else 0.0


def passes_gate(saving: Saving, cost: GraphCost, share: float) -> bool:
    """Tell whether the saving is at least this share of the model in any counted quantity."""
    quantities = ("macs", "params", "param_bytes", "activation_bytes")
    return any(
        getattr(saving, name) > 0 and getattr(saving, name) >= share * getattr(cost, name)
        for name in quantities
    )
