"""From a recorded fx graph to a ModelGraph.

``lower.py`` walks the trace; ``layers.py`` reads torch.nn layers, ``functions.py``
calls that compute, ``moves.py`` calls that only move data, ``products.py`` matrix
products. What none of them knows is an Opaque node.
"""

from __future__ import annotations

from convlint.tracing.lowering.lower import Bound, lower, lower_bound

__all__ = ["Bound", "lower", "lower_bound"]
