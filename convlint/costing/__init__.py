"""Cost tables: rows of a graph, grouped, folded and sorted, and what other tools would say."""

from __future__ import annotations

from convlint.costing.model import Asked, costs_of
from convlint.costing.table import COLUMNS

__all__ = ["COLUMNS", "Asked", "costs_of"]
