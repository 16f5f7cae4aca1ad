"""Makes the rewrites of rules on a graph, one rule after the other, until nothing is left.

Edits overlap, so they are not made at once: every rule runs on the graph that the rules before
it left, those that others yield to first. What one rewrite makes possible (two pointwise layers
that now meet) is found in the next round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint import edit as edits
from convlint.checking.run import ActiveRule, RuleRun, in_order, run_rule
from convlint.contract import Context, Site
from convlint.cost import count
from convlint.edit import GraphEdit
from convlint.errors import GraphError
from convlint.ir.graph import ModelGraph

ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Made:
    """One edit that was made, for the place it was made at."""

    site: Site
    edit: GraphEdit


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule changed: its edits, all made on ``before``, and the graph after them."""

    rule: ActiveRule
    made: tuple[Made, ...]
    before: ModelGraph
    context: Context


def rewrite_exactly(
    context: Context,
    active: tuple[ActiveRule, ...],
    refused: frozenset[tuple[str, str]] = frozenset(),
    found: frozenset[str] | None = None,
) -> Iterator[Step]:
    """Yield the steps of all exact rules until a round changes nothing.

    Rules that hold only at the traced size are left out where that size was guessed, and so are
    the places in ``refused``: a rule's code and the anchor of a site. ``found`` are the codes of
    rules that find something on the graph as it is, where that is known already.
    """
    exact = [one for one in in_order(active) if one.rule.meta.exact]
    usable = [one for one in exact if not (one.rule.meta.at_size and context.inferred)]
    for _ in range(ROUNDS):
        changed = False
        for one in usable:
            if found is not None and one.rule.meta.code not in found:
                continue
            step = _step(context, one, refused)
            if step is not None:
                changed, context, found = True, step.context, None
                yield step
        if not changed:
            return


def rewrite_once(
    context: Context, active: tuple[ActiveRule, ...], found: frozenset[str] | None = None
) -> Iterator[Step]:
    """Yield one step for each rule that is not exact, each on the graph the last one left.

    ``found`` leaves out the rules that have no finding on the given model.
    """
    for one in in_order(active):
        if found is not None and one.rule.meta.code not in found:
            continue
        step = None if one.rule.meta.exact else _step(context, one, frozenset())
        if step is not None:
            context = step.context
            yield step


def _step(context: Context, one: ActiveRule, refused: frozenset[tuple[str, str]]) -> Step | None:
    """Return what the rule changes, None where it changes nothing or raises."""
    try:
        run = run_rule(context, one)
        wanted = _wanted(run, refused)
        if not wanted:
            return None
        made, graph = _compatible(context.graph, wanted)
    except Exception:
        return None
    after = Context(graph, count(graph), context.target, context.inferred)
    return Step(one, made, context.graph, after)


def _wanted(run: RuleRun, refused: frozenset[tuple[str, str]]) -> tuple[Made, ...]:
    code = run.active.rule.meta.code
    return tuple(
        Made(proposal.site, edit)
        for proposal in run.proposals
        if (edit := proposal.edit()) is not None and (code, proposal.site.anchor) not in refused
    )


def _compatible(graph: ModelGraph, wanted: tuple[Made, ...]) -> tuple[tuple[Made, ...], ModelGraph]:
    """Return those that can be made at once, and the graph with them.

    What is left out comes up in the next round.
    """
    skipped = set(edits.merge([each.edit for each in wanted])[1])
    together = tuple(each for place, each in enumerate(wanted) if place not in skipped)
    try:
        return together, edits.apply(graph, edits.merge([each.edit for each in together])[0])
    except GraphError:
        return together[:1], edits.apply(graph, together[0].edit)
