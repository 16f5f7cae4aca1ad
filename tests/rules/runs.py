"""Runs one rule of the catalogue on a hand-built graph."""

from __future__ import annotations

from convlint.checking import ActiveRule, check_model
from convlint.contract import Finding, ModelReport, Options, Rule
from convlint.ir.graph import ModelGraph
from convlint.plugins import load_rules
from convlint.wire import Reply


def rule(code: str) -> Rule:
    """Return the shipped rule with this code."""
    return next(rule for rule in load_rules() if rule.meta.code == code)


def report(graph: ModelGraph, *codes: str, options: Options | None = None) -> ModelReport:
    """Return the report of these rules on the graph."""
    rules = [rule(code) for code in codes]
    active = tuple(ActiveRule(r, r.meta.severity, options or r.options()) for r in rules)
    reply = Reply("model.py:Net", "complete", class_name="Net", graph=graph.document())
    return check_model(reply, active)


def findings(graph: ModelGraph, code: str, options: Options | None = None) -> tuple[Finding, ...]:
    """Return what one rule finds."""
    return report(graph, code, options=options).findings


def reasons(graph: ModelGraph, code: str) -> list[str]:
    """Return why one rule leaves places alone."""
    return [refusal.reason for refusal in report(graph, code).refusals]
