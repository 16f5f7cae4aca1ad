"""Turns targets into Requests by reading Python files as text; it runs nothing.

targets -> locate -> Target (a file, an expression) -> read -> Found (a Request, or a
Reply where it is clear already that the file cannot be checked)
"""

from __future__ import annotations

from convlint.discover.alternatives import by_model, part
from convlint.discover.found import Found, declared_targets, read
from convlint.discover.targets import Filter, Target, locate, split

__all__ = [
    "Filter",
    "Found",
    "Target",
    "by_model",
    "declared_targets",
    "locate",
    "part",
    "read",
    "split",
]
