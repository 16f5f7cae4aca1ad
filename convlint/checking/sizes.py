"""One model at each of the inputs that are declared for it, and what holds at all of them.

A rule that is exact at the traced size only speaks of the model as it is used where it says the
same at every size: at the same layer, with the same rewrite, the same weights kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convlint.checking.proposal import Proposal
from convlint.contract import Context, RuleMeta, Site, place_of
from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Param, Ref

Name = tuple[str, str, int]
"""What a node is called at every size: its module, its kind, the how manieth such call."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """One model, traced at each of its declared inputs; mostly there is one.

    ``unread`` are the targets of those at which it could not be read.
    """

    contexts: tuple[Context, ...]
    unread: tuple[str, ...] = ()

    def bind(self, meta: RuleMeta) -> bool:
        """Say whether what this rule finds at one of the sizes has to hold at others too."""
        several = len(self.contexts) + len(self.unread) > 1
        return several and meta.at_size and not meta.any_size


Named = Mapping[tuple[Any, ...], Sequence[Proposal]]
"""What a rule proposes at one size, by the names of its places."""


def by_name(context: Context, proposals: Iterable[Proposal]) -> Named:
    """Return what a rule proposes at one size, by what its places are called at every size."""
    found: dict[tuple[Any, ...], list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        found[_name(context.graph, proposal.site)].append(proposal)
    return found


def objection(sizes: Sizes, place: int, proposal: Proposal, proposed: Sequence[Named]) -> str:
    """Return why a proposal at one size does not hold at all of them, empty where it does.

    ``proposed`` is what the rule proposes at each size, ``place`` which of them this one is of.
    """
    here = sizes.contexts[place]
    own = _size(here.graph)
    for other, context in enumerate(sizes.contexts):
        if other == place:
            continue
        there = _size(context.graph)
        name = _name(here.graph, proposal.site)
        same = proposed[other].get(name, ())
        if not same:
            return f"it holds at {own} and not at {there}, and the model is declared for both"
        wanted = _changes(here.graph, proposal)
        if wanted and all(_changes(context.graph, p) != wanted for p in same):
            return f"one rewrite does not hold at both: {_ways(proposal, own, same[0], there)}"
    if sizes.unread:
        return f"it holds at {own}, and {sizes.unread[0]} could not be read"
    return ""


def _size(graph: ModelGraph) -> str:
    shapes = ["x".join(map(str, node.output.shape)) for node in graph.model_inputs]
    return " with ".join(shapes)


def _ways(proposal: Proposal, own: str, other: Proposal, there: str) -> str:
    first = proposal.rewrites[0].label
    second = other.rewrites[0].label if other.edit() is not None else "none"
    second = f"another {second}" if second == first else second
    return f"{first} at {own}, {second} at {there}"


def _name(graph: ModelGraph, site: Site) -> tuple[str, ...] | Name:
    place = place_of(site)
    return place.modules if place is not None else graph.once(_names)[site.anchor]


def _names(graph: ModelGraph) -> dict[str, Name]:
    """Return the name of every node: ids may differ where the calls around it do."""
    seen: Counter[tuple[str, str]] = Counter()
    names = {}
    for node in graph:
        key = (node.module, node.kind)
        seen[key] += 1
        names[node.id] = (*key, seen[key])
    return names


def _changes(graph: ModelGraph, proposal: Proposal) -> tuple[Any, ...]:
    """Return what the rewrites that promise something change, as it reads at every size."""
    return tuple(_change(graph, way.edit) for way in proposal.rewrites if way.claimed)


def _change(graph: ModelGraph, edit: GraphEdit) -> tuple[Any, ...]:
    """Return an edit as it reads at every size: what goes, what comes, and what it reads.

    Ids, storages, dtypes and the shapes of activations are no part of it.
    """
    gone = sorted((graph[key] for key in edit.removed), key=lambda node: graph.order[node.id])
    names: dict[str, tuple[Any, ...]] = {
        node.id: (*graph.once(_names)[node.id], place) for place, node in enumerate(gone)
    }
    names |= {node.id: ("new", place) for place, node in enumerate(edit.added)}
    read = dict.fromkeys(ref for node in gone for ref in node.inputs if ref.node not in names)
    places = {ref: place for place, ref in enumerate(read)}

    def called(ref: Ref) -> tuple[Any, ...]:
        if ref in places:
            return "read", places[ref]
        return names.get(ref.node) or graph.once(_names)[ref.node], ref.output

    return (
        [(names[node.id], node.op, _weights(node.params)) for node in gone],
        [
            (node.op, _weights(node.params), [called(ref) for ref in node.inputs])
            for node in edit.added
        ],
        {called(old): called(new) for old, new in edit.redirect.items()},
    )


def _weights(params: Sequence[Param]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((param.name, param.shape) for param in params)
