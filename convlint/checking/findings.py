"""Groups the places of a rule by the line that builds them, and words each group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from convlint import edit as edits
from convlint.analysis.folding import fold
from convlint.checking.proposal import Proposal
from convlint.checking.run import RuleRun
from convlint.checking.savings import saving_of
from convlint.contract import (
    Advice,
    Alternative,
    Context,
    Finding,
    Place,
    Related,
    Saving,
    Severity,
    place_of,
)
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, SourceSpan

MOST_RELATED = 8
GUESSED = "the input size was guessed: --input sets it"
KEPT_OUT = ", and until then this counts in no total and convlint apply leaves it"


@dataclass(frozen=True, slots=True)
class _Group:
    """The places of one rule that share a constructor line, in execution order.

    ``places`` are those that no node stands for.
    """

    first: Node
    proposals: tuple[Proposal, ...]
    nodes: tuple[Node, ...]
    places: tuple[Place, ...]

    @property
    def location(self) -> SourceSpan | None:
        """The line that all of them share."""
        return self.places[0].location if self.places else self.first.location

    @property
    def modules(self) -> tuple[str, ...]:
        """The paths of the modules, each once."""
        if self.places:
            return tuple(dict.fromkeys(path for place in self.places for path in place.modules))
        return tuple(dict.fromkeys(n.module for n in self.nodes if n.kind == self.first.kind))


def findings_of(run: RuleRun, context: Context, identity: str) -> tuple[Finding, ...]:
    """Return the findings of one rule's run, one per constructor line.

    ``identity`` names the model in fingerprints: its class or expression, no path.
    """
    seen: dict[str, int] = {}
    found = []
    for group in _groups(run.proposals, context.graph):
        finding = _finding(run, group, context, identity)
        again = seen.get(finding.fingerprint, 0)
        seen[finding.fingerprint] = again + 1
        if again:
            text = _digest(finding.fingerprint, str(again))
            finding = msgspec.structs.replace(finding, fingerprint=text)
        found.append(finding)
    return tuple(found)


def _groups(proposals: Iterable[Proposal], graph: ModelGraph) -> Iterator[_Group]:
    by_line: dict[tuple[str, ...], list[Proposal]] = {}
    for proposal in sorted(proposals, key=lambda p: graph.order[p.site.anchor]):
        node, place = graph[proposal.site.anchor], place_of(proposal.site)
        span = place.location if place else node.location
        names = place.modules if place else (node.module,)
        key = names if span is None else (span.path, str(span.line))
        by_line.setdefault(key, []).append(proposal)
    for members in by_line.values():
        ids = {key for proposal in members for key in proposal.site.nodes}
        nodes = sorted((graph[key] for key in ids), key=lambda node: graph.order[node.id])
        places = tuple(p for each in members if (p := place_of(each.site)) is not None)
        yield _Group(graph[members[0].site.anchor], tuple(members), tuple(nodes), places)


def _finding(run: RuleRun, group: _Group, context: Context, identity: str) -> Finding:
    meta, options = run.active.rule.meta, run.active.options
    sites = tuple(proposal.site for proposal in group.proposals)
    advice = run.active.rule.advise(context, sites, options)
    modules = group.modules
    facts = msgspec.json.encode(group.first.op).decode()
    return Finding(
        code=meta.code,
        name=meta.name,
        severity=_severity(run, context, advice),
        exact=meta.exact,
        message=advice.message,
        modules=modules,
        location=group.location,
        related=_related(group, context.graph),
        saving=_saving(group, 0, context),
        fingerprint=_digest(meta.code, identity, *sorted(modules), facts),
        module_groups=fold(modules),
        instead=advice.instead,
        risk=_risk(run, context, advice),
        alternatives=_alternatives(group, context),
        sites=len(sites),
        bound=_bound(group, context),
        fix=advice.fix,
    )


def _bound(group: _Group, context: Context) -> str:
    """Return what bounds the layers found, by MACs for each byte that they move unfused."""
    ridge = context.target.number("ridge")
    costs = [context.cost.nodes[proposal.site.anchor] for proposal in group.proposals]
    moved = sum(cost.bytes_moved for cost in costs)
    if not ridge or not moved:
        return ""
    return "compute" if sum(cost.macs for cost in costs) >= ridge * moved else "memory"


def _severity(run: RuleRun, context: Context, advice: Advice) -> Severity:
    """Return the severity of one finding; what the settings ask for stands."""
    usual = run.active.rule.meta.severity_under(context.target)
    return advice.severity or usual if run.active.severity is usual else run.active.severity


def _risk(run: RuleRun, context: Context, advice: Advice) -> str:
    """Return the rule's warning; what holds at one size says so where that was guessed."""
    meta = run.active.rule.meta
    if not (meta.at_size and context.inferred):
        return advice.risk
    guessed = GUESSED + KEPT_OUT if meta.exact else GUESSED
    return f"{advice.risk}; {guessed}" if advice.risk else guessed


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _saving(group: _Group, place: int, context: Context) -> Saving:
    ways = [way for proposal in group.proposals if (way := proposal.edit(place)) is not None]
    return saving_of(edits.merge(ways)[0], context.savings, context.cost)


def _alternatives(group: _Group, context: Context) -> tuple[Alternative, ...]:
    most = max(len(proposal.rewrites) for proposal in group.proposals)
    found = []
    for place in range(1, most):
        labels = [p.rewrites[place].label for p in group.proposals if p.edit(place) is not None]
        if labels:
            found.append(Alternative(labels[0], _saving(group, place, context)))
    return tuple(found)


def _related(group: _Group, graph: ModelGraph) -> tuple[Related, ...]:
    """The lines that call the places, the lines of their other nodes, the helpers' callers."""
    anchors = [graph[proposal.site.anchor] for proposal in group.proposals]
    chosen = {node.id for node in anchors}
    spans = [(node.called_at, "called at") for node in anchors]
    spans += [
        (node.location, f"together with {node.module or node.kind}")
        for node in group.nodes
        if node.id not in chosen and node.kind == group.first.kind
    ]
    built: tuple[Node | Place, ...] = (*anchors, *group.places)
    spans += [(span, "built through") for each in built for span in each.built_through]
    own = group.location
    lines: dict[tuple[str, int], Related] = {}
    for span, message in spans:
        if span is not None and not _same_line(span, own):
            lines.setdefault((span.path, span.line), Related(span.path, span.line, message))
    return tuple(lines.values())[:MOST_RELATED]


def _same_line(span: SourceSpan, other: SourceSpan | None) -> bool:
    return other is not None and (span.path, span.line) == (other.path, other.line)
