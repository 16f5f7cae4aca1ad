"""Runs every rule on a graph: the places it proposes, the places it left alone, its crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from convlint import edit as edits
from convlint.checking.savings import passes_gate, saving_of
from convlint.contract import Context, Options, Refused, Rewrite, Rule, Severity, place_of
from convlint.edit import GraphEdit
from convlint.wire import Diagnostic

EXACT_GATE = 0.001
APPROXIMATE_GATE = 0.02


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule that is to run, with the severity and the options that the settings give it."""

    rule: Rule
    severity: Severity
    options: Options


@dataclass(frozen=True, slots=True)
class Proposal:
    """One place that a rule may rewrite, and how; the first rewrite is the one counted."""

    site: Any
    rewrites: tuple[Rewrite, ...]

    def edit(self, place: int = 0) -> GraphEdit | None:
        """Return the edit of one way, None where there is none or it promises nothing."""
        if place >= len(self.rewrites) or not self.rewrites[place].claimed:
            return None
        return self.rewrites[place].edit


@dataclass(frozen=True, slots=True)
class RuleRun:
    """What one rule made of the graph; ``places`` are those it looked at."""

    active: ActiveRule
    proposals: tuple[Proposal, ...] = ()
    refusals: tuple[Refused, ...] = ()
    crash: Diagnostic | None = None
    places: int = 0


@dataclass(slots=True)
class _Claims:
    """Which nodes the findings of each rule stand on; lives as long as one run."""

    nodes: dict[str, set[str]] = field(default_factory=dict)

    def winner(self, codes: tuple[str, ...], anchor: str) -> str:
        """Return the rule that tells of a node already, empty where none does."""
        return next((code for code in codes if anchor in self.nodes.get(code, ())), "")


def run_rules(context: Context, active: tuple[ActiveRule, ...]) -> tuple[RuleRun, ...]:
    """Return one run per rule, in order of code.

    A rule sees its places silenced where a rule it yields to has a finding on the same node,
    and all of them where their joint saving is under its gate. A rule that raises leaves a
    CL903 and nothing else; the others are not touched by it.
    """
    claims = _Claims()
    runs = []
    for one in in_order(active):
        try:
            run = _run(context, one, claims)
        except Exception as error:
            run = RuleRun(one, crash=crash(one.rule, error))
        claims.nodes[one.rule.meta.code] = {n for p in run.proposals for n in p.site.nodes}
        runs.append(run)
    return tuple(sorted(runs, key=lambda run: run.active.rule.meta.code))


def crash(rule: Rule, error: Exception) -> Diagnostic:
    """Return the word about a rule that raised."""
    what = f"{type(error).__name__}: {error}"
    message = f"rule {rule.meta.code} {rule.meta.name} crashed and was left out: {what}"
    return Diagnostic(code="CL903", message=message, severity="error")


def run_rule(context: Context, one: ActiveRule) -> RuleRun:
    """Return what one rule makes of the graph, as if it were alone; raise what the rule raises."""
    return _run(context, one, _Claims())


def in_order(active: tuple[ActiveRule, ...]) -> Iterator[ActiveRule]:
    """Yield the rules by code, those that a rule yields to before it."""
    by_code = {one.rule.meta.code: one for one in active}
    done: set[str] = set()

    def visit(code: str) -> Iterator[ActiveRule]:
        if code in done or code not in by_code:
            return
        done.add(code)
        for winner in by_code[code].rule.meta.yields_to:
            yield from visit(winner)
        yield by_code[code]

    for code in sorted(by_code):
        yield from visit(code)


def _run(context: Context, one: ActiveRule, claims: _Claims) -> RuleRun:
    rule, options = one.rule, one.options
    proposals: list[Proposal] = []
    refusals: list[Refused] = []
    places = 0
    for site in rule.find(context, options):
        places += 1
        winner = claims.winner(rule.meta.yields_to, site.anchor)
        if winner:
            refusals.append(_refused(context, rule, site, f"{winner} tells of it"))
            continue
        refusal = rule.guard(context, site, options)
        if refusal is None:
            proposals.append(Proposal(site, rule.rewrite(context, site, options)))
        else:
            refusals.append(_refused(context, rule, site, refusal.reason, refusal.nodes))
    _prove(context, proposals)
    if rule.meta.gated and proposals and not _worth_it(context, rule, proposals):
        share = _share(rule)
        why = f"all such places together save under {share:.1%} of the model in every quantity"
        refusals += [_refused(context, rule, proposal.site, why) for proposal in proposals]
        proposals = []
    return RuleRun(one, tuple(proposals), tuple(refusals), places=places)


def _refused(
    context: Context, rule: Rule, site: Any, reason: str, nodes: tuple[str, ...] = ()
) -> Refused:
    place = place_of(site)
    module = place.modules[0] if place else context.graph[site.anchor].module
    at = dict.fromkeys(context.graph[key].module for key in nodes if key in context.graph)
    return Refused(rule.meta.code, rule.meta.name, module, reason, tuple(at))


def _share(rule: Rule) -> float:
    return EXACT_GATE if rule.meta.exact else APPROXIMATE_GATE


def _prove(context: Context, proposals: list[Proposal]) -> None:
    """Make all edits of each way at once, so that an edit that breaks the graph is a crash."""
    for place in range(max((len(p.rewrites) for p in proposals), default=0)):
        ways = [p.rewrites[place].edit for p in proposals if place < len(p.rewrites)]
        edits.apply(context.graph, edits.merge(ways)[0])


def _worth_it(context: Context, rule: Rule, proposals: list[Proposal]) -> bool:
    first = [proposal.rewrites[0].edit for proposal in proposals if proposal.rewrites]
    joint = saving_of(edits.merge(first)[0], context.savings, context.cost)
    return passes_gate(joint, context.cost, _share(rule))
