"""What a whole graph costs: sums over its nodes, params once per storage."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.cost.node import NodeCost, count_node
from convlint.cost.peak import peak_bytes
from convlint.ir.graph import ModelGraph


@dataclass(frozen=True, slots=True)
class GraphCost:
    """Counts of one graph.

    ``macs`` are multiply-accumulates of convolutions and matrix products at the traced
    batch size. ``params`` are elements, once per storage, buffers not counted, unused ones
    counted. ``activation_bytes`` are bytes written by all nodes that compute something.
    """

    macs: int
    params: int
    param_bytes: int
    buffer_bytes: int
    activation_bytes: int
    peak_activation_bytes: int
    other_ops: int
    nodes: dict[str, NodeCost]

    def macs_of(self, node_id: str) -> int:
        """Return the MACs of one node."""
        return self.nodes[node_id].macs


def count(graph: ModelGraph) -> GraphCost:
    """Return what the graph costs."""
    nodes = {node.id: count_node(node, graph.input_specs(node)) for node in graph}
    params = graph.params()
    return GraphCost(
        macs=sum(cost.macs for cost in nodes.values()),
        params=sum(param.elements for param in params if not param.buffer),
        param_bytes=sum(param.bytes for param in params if not param.buffer),
        buffer_bytes=sum(param.bytes for param in params if param.buffer),
        activation_bytes=sum(cost.bytes_written for cost in nodes.values()),
        peak_activation_bytes=peak_bytes(graph),
        other_ops=sum(cost.other_ops for cost in nodes.values()),
        nodes=nodes,
    )
