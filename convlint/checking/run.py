"""Runs every rule on a model: the places it proposes, the places it left alone, its crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from convlint import edit as edits
from convlint.checking.proposal import Proposal
from convlint.checking.savings import passes_gate, saving_of
from convlint.checking.sizes import Sizes, by_name, objection
from convlint.contract import Context, Options, Refused, Rule, Severity, place_of
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
class RuleRun:
    """What one rule made of the graph; ``places`` are those it looked at.

    ``sized`` are places that would be proposed at this size, and not at every declared one.
    """

    active: ActiveRule
    proposals: tuple[Proposal, ...] = ()
    refusals: tuple[Refused, ...] = ()
    crash: Diagnostic | None = None
    places: int = 0
    sized: tuple[Refused, ...] = ()


@dataclass(slots=True)
class _Claims:
    """Which nodes the findings of each rule stand on; lives as long as one run.

    ``first`` are the codes of the rules that all others yield to.
    """

    first: tuple[str, ...] = ()
    nodes: dict[str, set[str]] = field(default_factory=dict)

    def winner(self, codes: tuple[str, ...], anchor: str) -> str:
        """Return the rule that tells of a node already, empty where none does."""
        asked = (*self.first, *codes)
        return next((code for code in asked if anchor in self.nodes.get(code, ())), "")

    def hear(self, run: RuleRun) -> None:
        """Note which nodes a rule tells of."""
        code = run.active.rule.meta.code
        self.nodes[code] = {node for p in run.proposals for node in p.site.nodes}


def run_rules(sizes: Sizes, active: tuple[ActiveRule, ...]) -> tuple[tuple[RuleRun, ...], ...]:
    """Return for each size one run per rule, in order of code.

    A rule sees its places silenced where a rule it yields to, or one that is first, has a finding
    on the same node, where they do not hold at every size that they have to, and all of them where
    their joint saving is under its gate. A rule that raises leaves a CL903 and nothing else; the
    others are not touched by it.
    """
    first = tuple(one.rule.meta.code for one in active if one.rule.meta.first)
    claims = tuple(_Claims(first) for _ in sizes.contexts)
    made = []
    for one in in_order(active):
        runs = _run(sizes, one, claims)
        for known, run in zip(claims, runs, strict=True):
            known.hear(run)
        made.append(runs)
    made.sort(key=lambda runs: runs[0].active.rule.meta.code)
    return tuple(tuple(runs[place] for runs in made) for place in range(len(sizes.contexts)))


def crash(rule: Rule, error: Exception) -> Diagnostic:
    """Return the word about a rule that raised."""
    what = f"{type(error).__name__}: {error}"
    message = f"rule {rule.meta.code} {rule.meta.name} crashed and was left out: {what}"
    return Diagnostic(code="CL903", message=message, severity="error")


def run_rule(sizes: Sizes, one: ActiveRule) -> tuple[RuleRun, ...]:
    """Return what one rule makes of the graph at each size, as if it were alone."""
    return _run(sizes, one, tuple(_Claims() for _ in sizes.contexts))


def in_order(active: tuple[ActiveRule, ...]) -> Iterator[ActiveRule]:
    """Yield the rules by code, those that are first before all, those yielded to before the rest."""
    by_code = {one.rule.meta.code: one for one in active}
    done: set[str] = set()

    def visit(code: str) -> Iterator[ActiveRule]:
        if code in done or code not in by_code:
            return
        done.add(code)
        for winner in by_code[code].rule.meta.yields_to:
            yield from visit(winner)
        yield by_code[code]

    for code in sorted(by_code, key=lambda code: (not by_code[code].rule.meta.first, code)):
        yield from visit(code)


def _run(sizes: Sizes, one: ActiveRule, claims: Sequence[_Claims]) -> tuple[RuleRun, ...]:
    """Return the places of one rule at each size: looked for, agreed upon, and worth a word."""
    runs = tuple(_looked(c, one, known) for c, known in zip(sizes.contexts, claims, strict=True))
    if sizes.bind(one.rule.meta):
        runs = _agreed(sizes, runs)
    return tuple(_gated(c, run) for c, run in zip(sizes.contexts, runs, strict=True))


def _looked(context: Context, one: ActiveRule, claims: _Claims) -> RuleRun:
    try:
        return _look(context, one, claims)
    except Exception as error:
        return RuleRun(one, crash=crash(one.rule, error))


def _look(context: Context, one: ActiveRule, claims: _Claims) -> RuleRun:
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
    return RuleRun(one, tuple(proposals), tuple(refusals), places=places)


def _agreed(sizes: Sizes, runs: tuple[RuleRun, ...]) -> tuple[RuleRun, ...]:
    """Return the runs with those places alone that hold at every size, with one rewrite."""
    named = zip(sizes.contexts, runs, strict=True)
    proposed = [by_name(context, run.proposals) for context, run in named]
    agreed = []
    for place, run in enumerate(runs):
        words = [objection(sizes, place, each, proposed) for each in run.proposals]
        kept = tuple(each for each, why in zip(run.proposals, words, strict=True) if not why)
        sized = tuple(
            _refused(sizes.contexts[place], run.active.rule, each.site, why)
            for each, why in zip(run.proposals, words, strict=True)
            if why
        )
        agreed.append(replace(run, proposals=kept, sized=sized))
    return tuple(agreed)


def _gated(context: Context, run: RuleRun) -> RuleRun:
    """Return the run, its edits proven to fit the graph, without what is not worth a word."""
    rule = run.active.rule
    try:
        _prove(context, run.proposals)
        if not (rule.meta.gated and run.proposals) or _worth_it(context, rule, run.proposals):
            return run
    except Exception as error:
        return RuleRun(run.active, crash=crash(rule, error))
    why = f"all such places together save under {_share(rule):.1%} of the model in every quantity"
    left = tuple(_refused(context, rule, proposal.site, why) for proposal in run.proposals)
    return replace(run, proposals=(), refusals=(*run.refusals, *left))


def _refused(
    context: Context, rule: Rule, site: Any, reason: str, nodes: tuple[str, ...] = ()
) -> Refused:
    place = place_of(site)
    module = place.modules[0] if place else context.graph[site.anchor].module
    at = dict.fromkeys(context.graph[key].module for key in nodes if key in context.graph)
    return Refused(rule.meta.code, rule.meta.name, module, reason, tuple(at))


def _share(rule: Rule) -> float:
    return EXACT_GATE if rule.meta.exact else APPROXIMATE_GATE


def _prove(context: Context, proposals: Sequence[Proposal]) -> None:
    """Make all edits of each way at once, so that an edit that breaks the graph is a crash."""
    for place in range(max((len(p.rewrites) for p in proposals), default=0)):
        ways = [p.rewrites[place].edit for p in proposals if place < len(p.rewrites)]
        edits.apply(context.graph, edits.merge(ways)[0])


def _worth_it(context: Context, rule: Rule, proposals: Sequence[Proposal]) -> bool:
    first = [proposal.rewrites[0].edit for proposal in proposals if proposal.rewrites]
    joint = saving_of(edits.merge(first)[0], context.savings, context.cost)
    return passes_gate(joint, context.cost, _share(rule))
