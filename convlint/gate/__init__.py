"""Decides what counts: which rules run, which findings are suppressed or known, the exit code."""

from __future__ import annotations

from convlint.gate.base import pair, with_base
from convlint.gate.baseline import Baseline, Entry, entries_of, read_baseline, render
from convlint.gate.budget import check_limits, declared_codes, is_budget
from convlint.gate.compare import Comparison, compare
from convlint.gate.files import read_report
from convlint.gate.known import accept, kept, mark, stale
from convlint.gate.outcome import Outcome, made_of
from convlint.gate.overrides import override
from convlint.gate.private import without_private
from convlint.gate.schema import config_schema
from convlint.gate.select import (
    Choice,
    active_rules,
    choose,
    find_rule,
    graph_rules,
    known_rules,
)
from convlint.gate.suppress import comment_problems, suppress
from convlint.gate.verdict import excused, is_lost, judge, settle
from convlint.gate.worktree import Tree, checked_out, is_revision, top_of

__all__ = [
    "Baseline",
    "Choice",
    "Comparison",
    "Entry",
    "Outcome",
    "Tree",
    "accept",
    "active_rules",
    "check_limits",
    "checked_out",
    "choose",
    "comment_problems",
    "compare",
    "config_schema",
    "declared_codes",
    "entries_of",
    "excused",
    "find_rule",
    "graph_rules",
    "is_budget",
    "is_lost",
    "is_revision",
    "judge",
    "kept",
    "known_rules",
    "made_of",
    "mark",
    "override",
    "pair",
    "read_baseline",
    "read_report",
    "render",
    "settle",
    "stale",
    "suppress",
    "top_of",
    "with_base",
    "without_private",
]
