"""Makes the rewrites of rules on a graph, one rule after the other, until nothing is left.

Edits overlap, so they are not made at once: every rule runs on the graph that the rules before
it left, those that others yield to first. What one rewrite makes possible (two pointwise layers
that now meet) is found in the next round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from convlint import edit as edits
from convlint.checking.run import ActiveRule, RuleRun, in_order, run_rule
from convlint.checking.sizes import Sizes
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


Steps = tuple[Step | None, ...]
"""What one rule changed at each size, None where nothing."""
Found = tuple[frozenset[str] | None, ...] | None
"""For each size, the codes of the rules that have findings there; None where it is not known."""


def rewrite_exactly(
    sizes: Sizes,
    active: tuple[ActiveRule, ...],
    refused: frozenset[tuple[str, str]] = frozenset(),
    found: Found = None,
) -> Iterator[Steps]:
    """Yield the steps of all exact rules, at every size at once, until a round changes nothing.

    Rules that hold only at the traced size are left out where that size was guessed, and so are
    the places in ``refused``: a rule's code and the anchor of a site. ``found`` are, for each
    size, the codes of rules that find something on the graph as it is, where that is known.
    """
    guessed = any(context.inferred for context in sizes.contexts)
    exact = [one for one in in_order(active) if one.rule.meta.exact]
    usable = [one for one in exact if not (one.rule.meta.at_size and guessed)]
    for _ in range(ROUNDS):
        changed = False
        for one in usable:
            steps = _steps(sizes, one, found, refused)
            if any(steps):
                changed, sizes, found = True, _after(sizes, steps), _unknown(found, steps)
                yield steps
        if not changed:
            return


def rewrite_once(
    sizes: Sizes, active: tuple[ActiveRule, ...], found: Found = None
) -> Iterator[Steps]:
    """Yield the steps of each rule that is not exact, each on the graph the last one left.

    ``found`` leaves out, at each size, the rules that have no finding on the given model.
    """
    for one in in_order(active):
        steps = () if one.rule.meta.exact else _steps(sizes, one, found)
        if any(steps):
            sizes = _after(sizes, steps)
            yield steps


def at_the_end(sizes: Sizes, made: Iterable[Steps]) -> Sizes:
    """Return the model at each size with all these steps made."""
    for steps in made:
        sizes = _after(sizes, steps)
    return sizes


def _after(sizes: Sizes, steps: Steps) -> Sizes:
    made = zip(sizes.contexts, steps, strict=True)
    return replace(sizes, contexts=tuple(step.context if step else c for c, step in made))


def _unknown(found: Found, steps: Steps) -> Found:
    """Return what is known of each size: nothing any more where the graph changed."""
    known = zip(found or (None,) * len(steps), steps, strict=True)
    return tuple(None if step else codes for codes, step in known)


def _steps(
    sizes: Sizes, one: ActiveRule, found: Found, refused: frozenset[tuple[str, str]] = frozenset()
) -> Steps:
    """Return what a rule changes at each size; nothing where it is known to find nothing."""
    known = found or (None,) * len(sizes.contexts)
    asked = [codes is None or one.rule.meta.code in codes for codes in known]
    if not any(asked):
        return ()
    if sizes.bind(one.rule.meta):
        runs = run_rule(sizes, one)
    else:  # no size has a say in another: each for itself
        alone = [Sizes((context,)) for context in sizes.contexts]
        runs = tuple(
            run_rule(size, one)[0] if wanted else RuleRun(one)
            for size, wanted in zip(alone, asked, strict=True)
        )
    return tuple(
        _step(context, run, refused) if wanted else None
        for context, run, wanted in zip(sizes.contexts, runs, asked, strict=True)
    )


def _step(context: Context, run: RuleRun, refused: frozenset[tuple[str, str]]) -> Step | None:
    """Return what the rule changes at one size, None where it changes nothing or raises."""
    try:
        wanted = _wanted(run, refused)
        if not wanted:
            return None
        made, graph = _compatible(context.graph, wanted)
    except Exception:
        return None
    after = Context(graph, count(graph), context.target, context.inferred)
    return Step(run.active, made, context.graph, after)


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
