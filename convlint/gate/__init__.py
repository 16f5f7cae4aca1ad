"""Decides what counts: which rules run, which findings are suppressed, and the exit code."""

from __future__ import annotations

from convlint.gate.outcome import Outcome
from convlint.gate.select import Choice, active_rules, choose, find_rule
from convlint.gate.suppress import suppress
from convlint.gate.verdict import excused, judge, settle

__all__ = [
    "Choice",
    "Outcome",
    "active_rules",
    "choose",
    "excused",
    "find_rule",
    "judge",
    "settle",
    "suppress",
]
