"""Operations that run for outputs that nobody reads alone: where, the edit, the words."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from convlint.analysis.paths import around
from convlint.analysis.unread import ending, idle_groups, unread_outputs
from convlint.contract import Context, Place, Refusal
from convlint.edit import GraphEdit
from convlint.ir.nodes import Idle, Node, Ref


@dataclass(frozen=True, slots=True)
class Unread:
    """Nodes that only the ``outputs`` need; ``modules`` are the largest that are idle without.

    The anchor is the node with the most MACs; the place is that of the dearest module, None where
    only functions of a module that runs are called.
    """

    anchor: str
    nodes: tuple[str, ...]
    place: Place | None
    modules: tuple[Idle, ...]
    outputs: tuple[str, ...]
    refs: frozenset[Ref]


def find_unread(context: Context) -> Iterator[Unread]:
    """Yield one place for all nodes that read each other on the way to unread outputs."""
    unread = unread_outputs(context.graph)
    for nodes in idle_groups(context.graph) if unread else ():
        ids = tuple(node.id for node in nodes)
        refs = {ref: name for ref, name in unread.items() if ref.node in ids}
        anchor = max(nodes, key=lambda node: _weight(context, node))
        modules = _modules(context, nodes, anchor)
        place = None
        if modules:
            names = tuple(idle.module for idle in modules)
            place = Place(names, modules[0].built_at, modules[0].built_through)
        yield Unread(anchor.id, ids, place, modules, tuple(refs.values()), frozenset(refs))


def _weight(context: Context, node: Node) -> tuple[int, int]:
    cost = context.cost.nodes[node.id]
    return cost.macs, cost.params


def _modules(context: Context, nodes: tuple[Node, ...], anchor: Node) -> tuple[Idle, ...]:
    """Return the idle modules that the nodes are of, that of the anchor first."""
    by_path = {idle.module: idle for idle in ending(context.graph).idle}
    found: dict[str, Idle] = {}
    for node in (anchor, *nodes):
        path = next((path for path in around(node.module) if path in by_path), "")
        if path:
            found.setdefault(path, by_path[path])
    return tuple(found.values())


def edit_of(site: Unread) -> GraphEdit:
    """Return the edit that takes the nodes out, and the outputs that they make."""
    return GraphEdit(frozenset(site.nodes), unread=site.refs)


def guard_unread(context: Context, site: Unread) -> Refusal | None:
    """Refuse what costs nothing."""
    saved = context.saves(edit_of(site))
    if saved.macs or saved.params or saved.bytes_moved or saved.other_ops:
        return None
    return Refusal(f"only {named(site.outputs)} needs it, and it costs nothing", site.nodes)


def message(context: Context, sites: tuple[Unread, ...]) -> str:
    """Return what runs, for which outputs, and which ones are read."""
    count = sum(len(site.nodes) for site in sites)
    outputs = named(tuple(dict.fromkeys(name for site in sites for name in site.outputs)))
    kept = ending(context.graph).kept
    read = f"only {named(kept)} {'are' if len(kept) > 1 else 'is'} read"
    modules = tuple(dict.fromkeys(idle for site in sites for idle in site.modules))
    of = f" of {_told(modules)}" if modules else ""
    are = "s" if count > 1 else ""
    verb = "feed" if count > 1 else "feeds"
    return f"{count} operation{are}{of} {verb} {outputs} alone, and {read}"


def _told(modules: tuple[Idle, ...]) -> str:
    first = f"{modules[0].module} ({modules[0].class_name})"
    return first if len(modules) == 1 else f"{first} and {len(modules) - 1} more"


def named(outputs: tuple[str, ...]) -> str:
    """Return the names of outputs in a sentence."""
    some = ", ".join(outputs[:4]) + (", …" if len(outputs) > 4 else "")
    return f"the output{'s' if len(outputs) > 1 else ''} {some}"


def instead(context: Context, sites: tuple[Unread, ...]) -> str:
    """Return how to leave it out."""
    kept = shlex.quote(",".join(ending(context.graph).kept))
    modules = [idle.module for site in sites for idle in site.modules]
    what = modules[0] if modules else "it"
    return (
        f"if self.training:  # in forward of the nn.Module, around what calls {what}\n"
        f"# or convlint apply --outputs {kept}: the model without it, weights carried over"
    )
