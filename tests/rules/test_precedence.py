"""One layer, one story: which rule keeps silent where another tells of the same layer."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from convlint import profiles
from convlint.checking import ActiveRule, check_model
from convlint.contract import Rewrite, Rule, RuleMeta, Severity
from convlint.edit import GraphEdit
from convlint.plugins import load_rules
from convlint.tracing.inline import read_instance
from tests.rules.runs import rule

PRECEDENCE = [
    ("CL102", "CL101"), ("CL102", "CL103"), ("CL101", "CL301"), ("CL101", "CL302"),
    ("CL302", "CL301"), ("CL408", "CL301"), ("CL401", "CL602"), ("CL403", "CL404"),
    ("CL409", "CL416"),
]  # fmt: skip
"""The rule that tells, and the one that keeps silent on the same layer."""


def _replies(one):
    """Yield the models of a rule's bad examples."""
    path = Path(one.folder, "bad.py")
    spec = importlib.util.spec_from_file_location(f"bad_{one.meta.code}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__:  # fmt: skip
            try:
                yield read_instance(value(), (torch.empty(1, 3, 224, 224, device="meta"),), {}, target="t")  # fmt: skip
            except TypeError:
                continue  # a part of a model: its constructor takes arguments


def _loudest(one, target):
    """Return the first example that the rule alone finds something in, and its report."""
    active = (ActiveRule(one, Severity.WARNING, one.options()),)
    for reply in _replies(one):
        report = check_model(reply, active, profile=target)
        if report.findings:
            return reply, report
    raise AssertionError(f"{one.meta.code} finds nothing in its own bad.py")


def _stand_in(code, other, options):
    """Return a rule with this code that tells of every layer that the other one tells of."""
    return Rule(
        meta=RuleMeta(code, f"stand-in-{code.lower()}", "tells", Severity.INFO, False, "0", False),
        find=other.find,
        guard=lambda context, site, _: other.guard(context, site, options),
        rewrite=lambda context, site, _: (Rewrite("none", GraphEdit(frozenset(), (), {})),),
        advise=lambda context, sites, _: other.advise(context, sites, options),
        doc="",
        folder="",
        options=type(options),
    )


@pytest.mark.parametrize(("winner", "loser"), PRECEDENCE)
def test_the_loser_keeps_silent_where_the_winner_tells(winner, loser):
    """Alone the rule tells of its own examples; beside the winner it says who tells of them."""
    one = rule(loser)
    target = profiles.load("gpu-fp16" if loser == "CL416" else "generic")
    reply, alone = _loudest(one, target)
    options = one.options()
    beside = (
        ActiveRule(one, Severity.WARNING, options),
        ActiveRule(_stand_in(winner, one, options), Severity.WARNING, options),
    )
    both = check_model(reply, beside, profile=target)
    assert not [d for d in both.diagnostics if d.code == "CL903"], both.diagnostics
    assert {finding.code for finding in both.findings} == {winner}
    told = {r.module for r in both.refusals if r.code == loser and r.reason == f"{winner} tells of it"}  # fmt: skip
    assert told and told <= {m for finding in alone.findings for m in finding.modules}


def test_rules_yield_to_known_rules_in_one_direction():
    """No two rules wait for each other, over any number of steps."""
    yields = {one.meta.code: set(one.meta.yields_to) for one in load_rules()}
    for code in yields:
        seen, pending = set(), set(yields[code])
        while pending:
            seen |= pending
            pending = {after for one in pending for after in yields.get(one, ())} - seen
        assert code not in seen
