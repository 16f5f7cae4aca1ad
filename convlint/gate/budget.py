"""Limits on a model as rules: CL701 max-macs and its kin find what breaks a declared limit.

They have a level, are selected, suppressed, put into the baseline and reported like any other;
only what they look at differs: the totals of a model, not its nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from convlint.checking import ActiveRule
from convlint.contract import (
    Advice,
    Budget,
    Finding,
    ModelReport,
    Rule,
    RuleMeta,
    Saving,
    Severity,
    Totals,
)
from convlint.gate.amounts import amount, percent
from convlint.gate.outcome import Outcome
from convlint.settings import Limit
from convlint.settings.limits import KEYS
from convlint.wire import Diagnostic

UNCHECKED = "CL908"
_CODES = {key: f"CL7{place // 4}{place % 4 + 1}" for place, key in enumerate(KEYS)}

_DOC = """What it does
    Finds a model with more {words} than {key} allows in [[tool.convlint.models]].

Why it costs
    A limit is what a device or a service can pay. A change that passes it is seen where it is
    made, not where it hurts.

Example
    {key} = "{example}"

Use instead
    Make the findings' rewrites, shrink the model, or raise the limit where the change is worth it.

Savings
    None by itself. The message says what the exact rewrites alone would reach.

When not to apply
    Without a limit there is nothing to break{more}.

Already done by
    Nothing.

Options
    severity, under [tool.convlint.rules.{key}].

References
    docs/configuration.md.
"""
_WORDS = {
    "macs": "multiply-accumulates",
    "params": "parameters",
    "param-bytes": "bytes of parameters",
    "peak-activation-bytes": "bytes of activations alive at once",
}
_EXAMPLES = {"macs": "4.2 GMACs", "params": "25 M params"}


def budget_rules() -> tuple[Rule, ...]:
    """Return the rules about limits, in order of code."""
    return tuple(_rule(key) for key in KEYS)


def is_budget(code: str) -> bool:
    """Say whether this is the code of a rule about a limit."""
    return code in _CODES.values()


def _rule(key: str) -> Rule:
    limit = Limit(key, "")
    what = limit.name.replace("-", " ").replace("macs", "MACs")
    than = "the base than its limit allows" if limit.increase else "its declared limit"
    summary = f"a model with more {what} than {than}"
    more = ", and without --base there is nothing to compare with" if limit.increase else ""
    example = _EXAMPLES.get(limit.name, "512 KiB")
    return Rule(
        meta=RuleMeta(
            code=_CODES[key],
            name=key,
            summary=summary,
            severity=Severity.ERROR,
            exact=False,
            since="0.2.0",
            gated=False,
        ),
        find=lambda context, options: (),  # noqa: ARG005
        guard=lambda context, site, options: None,  # noqa: ARG005
        rewrite=lambda context, site, options: (),  # noqa: ARG005
        advise=lambda context, sites, options: Advice("", ""),  # noqa: ARG005
        doc=_DOC.format(
            words=_WORDS[limit.name],
            key=key,
            more=more,
            example="2%" if limit.increase else example,
        ),
        folder="",
    )


# --- the findings ------------------------------------------------------------------------


def check_limits(
    outcomes: Sequence[Outcome], active: Sequence[ActiveRule], *, compared: bool
) -> tuple[Outcome, ...]:
    """Return the outcomes with a finding for each limit that is broken, and every limit told.

    A limit on an increase needs a base: without one it says that it was not checked. ``compared``
    says that a base was asked for, so that a model without one is new.
    """
    asked = _Asked(
        {one.rule.meta.code: one.severity for one in active},
        compared=compared,
        exact=any(one.rule.meta.exact for one in active),
    )
    return tuple(_check(outcome, asked) for outcome in outcomes)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The severities of the rules that are on, whether there is a base, whether exact rules ran."""

    severities: Mapping[str, Severity]
    compared: bool
    exact: bool


def _check(outcome: Outcome, asked: _Asked) -> Outcome:
    report = outcome.report
    limits = [limit for limit in outcome.limits if _CODES[limit.key] in asked.severities]
    if not limits or not outcome.checked:
        return outcome
    told, findings, words = [], [], []
    for limit in limits:
        if limit.increase and report.base is None:
            words.append(_unchecked(limit, asked.compared))
            continue
        budget = _budget(limit, report)
        told.append(budget)
        if budget.over > 0:
            findings.append(_finding(budget, limit, outcome, asked))
        elif report.status != "complete":
            words.append(_doubtful(limit))
    changed = msgspec.structs.replace(
        report,
        findings=(*findings, *report.findings),
        budgets=tuple(told),
        diagnostics=(*report.diagnostics, *dict.fromkeys(words)),
    )
    return replace(outcome, report=changed)


def _budget(limit: Limit, report: ModelReport) -> Budget:
    base = getattr(report.base, limit.quantity) if limit.increase else None
    exact = report.after.exact if report.after.exact != Totals() else report.totals
    return Budget(
        code=_CODES[limit.key],
        key=limit.key,
        quantity=limit.quantity,
        limit=limit.text,
        most=limit.most(base),
        value=getattr(report.totals, limit.quantity),
        least=getattr(exact, limit.quantity),
        base=base,
    )


def _finding(budget: Budget, limit: Limit, outcome: Outcome, asked: _Asked) -> Finding:
    identity = outcome.report.expression or outcome.report.target.rpartition(":")[2]
    kind = "percent" if limit.percent is not None else "amount"
    facts = "\0".join((budget.code, identity, kind)).encode()
    return Finding(
        code=budget.code,
        name=budget.key,
        severity=asked.severities[budget.code],
        exact=False,
        message=message(budget, exact=asked.exact),
        modules=(),
        location=outcome.place,
        related=(),
        saving=Saving(),
        fingerprint=hashlib.sha256(facts).hexdigest()[:16],
        budget=budget,
    )


def message(budget: Budget, *, exact: bool = True) -> str:
    """Return the broken limit in words: value, limit, by how much, and what can be reached.

    ``exact`` says that exact rules ran, so that what they reach is known.
    """
    over = amount(budget.quantity, budget.over)
    value = amount(budget.quantity, budget.value)
    share = f" ({percent(budget.over, budget.most)})" if budget.most else ""
    if budget.base is None:
        text = f"{value}, {over}{share} over the limit of {budget.limit}"
    else:
        more = amount(budget.quantity, budget.value - budget.base)
        grown = f" ({percent(budget.value - budget.base, budget.base)})" if budget.base else ""
        text = (
            f"{value}, {more}{grown} more than the base's "
            f"{amount(budget.quantity, budget.base)}: {over} over the limit of +{budget.limit}"
        )
    return f"{text}; {_least(budget) if exact else 'no exact rule is on to lower it'}"


def _least(budget: Budget) -> str:
    if budget.least >= budget.value:
        return "no exact rewrite lowers it"
    verdict = "within the limit" if budget.least <= budget.most else "still over"
    return f"exact rewrites alone reach {amount(budget.quantity, budget.least)}, {verdict}"


def _unchecked(limit: Limit, compared: bool) -> Diagnostic:
    reason = "the model is new" if compared else "there is no base to compare with (--base REF)"
    return Diagnostic(UNCHECKED, f"{limit.key} was not checked: {reason}", "info")


def _doubtful(limit: Limit) -> Diagnostic:
    what = f"{limit.key} may be broken: the model was read in part, so its totals are too low"
    return Diagnostic(UNCHECKED, what, "warning")


def declared_codes(limits: Sequence[Limit]) -> frozenset[str]:
    """Return the codes of the rules that these limits are checked by."""
    return frozenset(_CODES[limit.key] for limit in limits)
