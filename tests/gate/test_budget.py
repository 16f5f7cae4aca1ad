"""Limits: units, what breaks them, and what is said about it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlint import gate
from convlint.checking import ActiveRule
from convlint.contract import After, Options, Severity, Totals
from convlint.gate import Outcome
from convlint.settings.limits import KEYS, Limit, parse_limits
from tests.gate.made import outcome, span

ACTIVE = tuple(
    ActiveRule(rule, Severity.ERROR, Options())
    for rule in gate.known_rules()
    if gate.is_budget(rule.meta.code) or rule.meta.exact
)


def net(totals: Totals, exact: Totals | None = None, base: Totals | None = None) -> Outcome:
    """Return a model with these totals, those after the exact rewrites and those of the base."""
    made = outcome()
    after = After(exact or totals, exact or totals)
    report = msgspec.structs.replace(made.report, totals=totals, after=after, base=base)
    return dataclasses.replace(made, report=report, place=span(7))


def check(model: Outcome, *, compared: bool = False, **limits: Any) -> Outcome:
    """Return the model with limits checked; ``max_macs="1 MACs"``."""
    given = [
        limit
        for name, value in limits.items()
        for limit in parse_limits(name.replace("_", "-"), value, "here")
    ]
    asked = dataclasses.replace(model, limits=tuple(given))
    return gate.check_limits([asked], ACTIVE, compared=compared)[0]


@pytest.mark.parametrize(
    ("key", "text", "amount"),
    [
        ("max-macs", "4.2 GMACs", 4_200_000_000),
        ("max-macs", "4.2GMACs", 4_200_000_000),
        ("max-macs", "600 mmacs", 600_000_000),
        ("max-macs", "1_000 MACs", 1000),
        ("max-macs", "0 MACs", 0),
        ("max-params", "25.6 M params", 25_600_000),
        ("max-params", "25.6 Mparams", 25_600_000),
        ("max-params", "25.6 M", 25_600_000),
        ("max-params", "7 params", 7),
        ("max-param-bytes", "512 KiB", 524_288),
        ("max-param-bytes", "1.5 MB", 1_500_000),
        ("max-peak-activation-bytes", "0.5 GiB", 536_870_912),
        ("max-macs-increase", "10 MMACs", 10_000_000),
    ],
)
def test_amounts_are_read_exactly(key: str, text: str, amount: int) -> None:
    """A unit with its prefix, in decimal or binary steps, without rounding."""
    (limit,) = parse_limits(key, text, "here")
    assert (limit.amount, limit.percent) == (amount, None)


def test_a_limit_is_kept_up_to_its_value() -> None:
    """Equal is kept; one more is broken, and the message has value, limit and difference."""
    kept = check(net(Totals(macs=1000)), max_macs="1 kMACs")
    assert kept.report.findings == ()
    assert [(b.key, b.over) for b in kept.report.budgets] == [("max-macs", 0)]
    (found,) = check(net(Totals(macs=1500)), max_macs="1 kMACs").report.findings
    assert (found.code, found.name, found.severity) == ("CL701", "max-macs", Severity.ERROR)
    assert found.location == span(7)
    text = "1.5 kMACs, 500 MACs (50.0 %) over the limit of 1 kMACs; no exact rewrite lowers it"
    assert found.message == text


@pytest.mark.parametrize(
    ("least", "said"),
    [
        (900, "exact rewrites alone reach 900 MACs, within the limit"),
        (1200, "exact rewrites alone reach 1.2 kMACs, still over"),
        (1500, "no exact rewrite lowers it"),
    ],
)
def test_a_broken_limit_says_what_exact_rewrites_reach(least: int, said: str) -> None:
    """The message ends with the least that can be had for nothing."""
    model = net(Totals(macs=1500), exact=Totals(macs=least))
    (found,) = check(model, max_macs="1 kMACs").report.findings
    assert found.message.endswith(said)
    assert found.budget is not None
    assert found.budget.least == least


def test_without_exact_rules_nothing_is_said_of_what_they_reach() -> None:
    """What was not looked for is not said not to be there."""
    limits = tuple(one for one in ACTIVE if gate.is_budget(one.rule.meta.code))
    model = dataclasses.replace(
        net(Totals(macs=9)), limits=parse_limits("max-macs", "1 MACs", "here")
    )
    (checked,) = gate.check_limits([model], limits, compared=False)
    assert checked.report.findings[0].message.endswith("; no exact rule is on to lower it")


def test_an_increase_is_measured_from_the_base() -> None:
    """Relative and absolute increases hold both; the message names the base's value."""
    model = net(Totals(params=1030), base=Totals(params=1000))
    assert check(model, max_params_increase="3%").report.findings == ()
    (found,) = check(model, max_params_increase=["3%", "20 params"]).report.findings
    assert found.code == "CL712"
    assert "1.03 k params, 30 params (3.0 %) more than the base's 1 k params" in found.message
    assert "10 params over the limit of +20 params" in found.message
    shrunk = net(Totals(params=900), base=Totals(params=1000))
    assert check(shrunk, max_params_increase="0%").report.findings == ()


def test_an_increase_without_a_base_is_said_to_be_unchecked() -> None:
    """Neither a pass nor a failure: a word says that there was nothing to compare with."""
    for compared, reason in ((False, "no base"), (True, "the model is new")):
        told = check(net(Totals(macs=9)), compared=compared, max_macs_increase=["1%", "1 MACs"])
        (word,) = told.report.diagnostics
        assert reason in word.message
        assert told.report.findings == ()


def test_a_model_read_in_part_may_break_its_limit() -> None:
    """What was read is over or it is not known; it is never said to be kept."""
    part = net(Totals(macs=5))
    part = dataclasses.replace(part, report=msgspec.structs.replace(part.report, status="partial"))
    assert "read in part" in check(part, max_macs="9 MACs").report.diagnostics[0].message
    assert len(check(part, max_macs="4 MACs").report.findings) == 1


@given(st.integers(0, 10**15), st.fractions(0, 1000), st.integers(0, 10**15))
def test_no_increase_over_the_percentage_is_let_through(
    base: int, percent: Fraction, value: int
) -> None:
    """In whole numbers a value is over exactly where it is over in fractions."""
    limit = Limit("max-macs-increase", "x", percent=percent)
    assert (value > limit.most(base)) == (value > base * (1 + percent / 100))


def test_each_limit_is_a_rule_with_a_page() -> None:
    """Every key has a code, and the rule's page names the key."""
    rules = {rule.meta.name: rule for rule in gate.known_rules()}
    for key in KEYS:
        assert key in rules[key].doc
    codes = [rules[key].meta.code for key in KEYS]
    assert len(set(codes)) == len(KEYS)
    assert all(code.startswith("CL7") for code in codes)
