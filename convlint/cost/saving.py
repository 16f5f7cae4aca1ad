"""What an edit saves, counted on the nodes it touches.

The difference equals the cost of the whole graph minus the cost of the whole edited graph:
nodes that are neither taken out, put in nor rewired cost the same in both. Only the touched
nodes are counted, so that a model with thousands of findings is not counted thousands of times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from convlint.cost.graph import GraphCost
from convlint.cost.node import NodeCost, count_node
from convlint.cost.peak import peak
from convlint.cost.traffic import FREE
from convlint.edit import GraphEdit, apply
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref, TensorSpec


@dataclass(frozen=True, slots=True)
class Saved:
    """Cost of a graph minus cost of the edited graph; negative where it grows.

    ``macs``; ``params`` elements, once a storage, and ``param_bytes``; bytes written
    (``activation_bytes``) and ``bytes_read`` when nothing is fused, weights included;
    ``other_ops`` elements or taps; ``kernels`` operations that move bytes.
    """

    macs: int = 0
    params: int = 0
    param_bytes: int = 0
    activation_bytes: int = 0
    bytes_read: int = 0
    other_ops: int = 0
    kernels: int = 0

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written."""
        return self.activation_bytes + self.bytes_read


class Savings:
    """Counts edits of one graph against it."""

    def __init__(self, graph: ModelGraph, cost: GraphCost) -> None:
        self._graph = graph
        self._cost = cost
        self._uses = Counter(key for node in graph for key in _storages(node.params))
        self._uses.update(_storages(graph.unused).keys())

    def of(self, edit: GraphEdit) -> Saved:
        """Return the cost of the graph minus the cost of the edited graph."""
        taken = [self._graph[key] for key in edit.removed]
        before = [self._cost.nodes[node.id] for node in taken]
        after = self._count_added(edit)
        params, param_bytes = self._params(taken, edit)
        return Saved(
            macs=_sum(before, "macs") - _sum(after, "macs"),
            params=params,
            param_bytes=param_bytes,
            activation_bytes=_sum(before, "bytes_written") - _sum(after, "bytes_written"),
            bytes_read=_sum(before, "bytes_read") - _sum(after, "bytes_read"),
            other_ops=_sum(before, "other_ops") - _sum(after, "other_ops"),
            kernels=_kernels(taken) - _kernels(edit.added),
        )

    def peak_of(self, edit: GraphEdit) -> int:
        """Return by how many bytes the peak of live activations falls.

        0 where the edit takes nothing that is alive at the peak; else the edited graph is walked.
        """
        if not edit.removed & self._cost.peak_nodes:
            return 0
        return self._cost.peak_activation_bytes - peak(apply(self._graph, edit)).bytes

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

    def _params(self, taken: Iterable[Node], edit: GraphEdit) -> tuple[int, int]:
        """Return (elements, bytes) of storages that no node uses any more, minus the new ones."""
        gone: Counter[str] = Counter()
        known: dict[str, Param] = {}
        for node in taken:
            known.update(_storages(node.params))
            gone.update(_storages(node.params).keys())
        dropped = [param for param in self._graph.unused if param.storage in edit.unused]
        known.update(_storages(dropped))
        gone.update(_storages(dropped).keys())
        made: dict[str, Param] = {}
        for node in edit.added:
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


def _kernels(nodes: Iterable[Node]) -> int:
    return sum(1 for node in nodes if not isinstance(node.op, FREE))
