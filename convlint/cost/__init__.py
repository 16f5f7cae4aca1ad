"""Costs of a node and of a graph: MACs, params, bytes, peak activation (no torch)."""

from __future__ import annotations

from convlint.cost.graph import GraphCost, count
from convlint.cost.node import NodeCost, count_node
from convlint.cost.other import OtherOps

__all__ = ["GraphCost", "NodeCost", "OtherOps", "count", "count_node"]
