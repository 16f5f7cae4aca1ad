"""What another tool would say for a graph, gathered by line and reason."""

from __future__ import annotations

from convlint.cost.peers import PEERS, Difference, ask
from convlint.costs import PeerCosts, PeerLine
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import SourceSpan


def peer_costs(name: str, graph: ModelGraph) -> PeerCosts:
    """Return the tool's total, ours, and the lines that make the difference, largest first."""
    said = ask(PEERS[name], graph)
    groups: dict[tuple[str, str, SourceSpan | str], list[Difference]] = {}
    for difference in said.differences:
        node = graph[difference.node]
        place = node.location or node.module
        groups.setdefault((difference.why, node.kind, place), []).append(difference)
    lines = [_line(key, group, graph) for key, group in groups.items()]
    return PeerCosts(
        tool=said.peer.name,
        version=said.peer.version,
        unit=said.peer.unit,
        total=said.total,
        ours=said.ours,
        lines=tuple(sorted(lines, key=lambda line: -abs(line.theirs - line.ours))),
        notes=said.peer.notes,
    )


def _line(
    key: tuple[str, str, SourceSpan | str], group: list[Difference], graph: ModelGraph
) -> PeerLine:
    why, kind, place = key
    return PeerLine(
        why=why,
        kind=kind,
        modules=tuple(dict.fromkeys(graph[one.node].module for one in group)),
        theirs=round(sum(one.theirs for one in group)),
        ours=sum(one.ours for one in group),
        location=place if isinstance(place, SourceSpan) else None,
    )
