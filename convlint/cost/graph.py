"""What a whole graph costs: sums over its nodes, params once per storage."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from convlint.cost.node import NodeCost, count_node
from convlint.cost.other import OtherOps
from convlint.cost.peak import peak
from convlint.ir.graph import ModelGraph


@dataclass(frozen=True, slots=True)
class GraphCost:
    """Counts of one graph.

    ``macs`` are multiply-accumulates of convolutions and matrix products at the traced
    batch size. ``params`` are elements, once per storage, buffers not counted, unused ones
    counted; ``weight_bytes`` are their bytes by dtype, ``param_bytes`` the sum of those, and
    ``buffer_bytes`` stand apart. ``activation_bytes`` are bytes written by all nodes that
    compute something, ``bytes_read`` what they read, weights included, when nothing is fused.
    ``peak_activation_bytes`` is reached while a node of ``peak_module`` runs and the results of
    ``peak_nodes`` are in memory.
    """

    macs: int
    params: int
    param_bytes: int
    buffer_bytes: int
    activation_bytes: int
    peak_activation_bytes: int
    other: OtherOps
    bytes_read: int
    weight_bytes: dict[str, int]
    peak_module: str
    peak_nodes: frozenset[str]
    nodes: dict[str, NodeCost]

    @property
    def other_ops(self) -> int:
        """All operations that are not MACs."""
        return self.other.total

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written when nothing is fused."""
        return self.bytes_read + self.activation_bytes

    def macs_of(self, node_id: str) -> int:
        """Return the MACs of one node."""
        return self.nodes[node_id].macs


def count(graph: ModelGraph) -> GraphCost:
    """Return what the graph costs."""
    nodes = {node.id: count_node(node, graph.input_specs(node)) for node in graph}
    params = [param for param in graph.params() if not param.buffer]
    weight_bytes: Counter[str] = Counter()
    for param in params:
        weight_bytes[param.dtype] += param.bytes
    top = peak(graph)
    return GraphCost(
        macs=sum(cost.macs for cost in nodes.values()),
        params=sum(param.elements for param in params),
        param_bytes=sum(param.bytes for param in params),
        buffer_bytes=sum(param.bytes for param in graph.params() if param.buffer),
        activation_bytes=sum(cost.bytes_written for cost in nodes.values()),
        peak_activation_bytes=top.bytes,
        other=sum((cost.other for cost in nodes.values()), OtherOps()),
        bytes_read=sum(cost.bytes_read for cost in nodes.values()),
        weight_bytes=dict(sorted(weight_bytes.items())),
        peak_module=graph[top.node].module if top.node else "",
        peak_nodes=top.alive,
        nodes=nodes,
    )
