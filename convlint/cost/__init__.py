"""Costs of a node and of a graph: MACs, params, bytes, peak activation (no torch)."""

from __future__ import annotations

from convlint.cost.graph import GraphCost, count
from convlint.cost.node import NodeCost, count_node
from convlint.cost.other import OtherOps
from convlint.cost.saving import Saved, Savings

__all__ = ["GraphCost", "NodeCost", "OtherOps", "Saved", "Savings", "count", "count_node"]
