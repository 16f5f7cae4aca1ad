"""Runs the rules on one read model and words what they find: a Reply becomes a ModelReport."""

from __future__ import annotations

from convlint.checking.model import check_at_each, check_model
from convlint.checking.run import ActiveRule

__all__ = ["ActiveRule", "check_at_each", "check_model"]
