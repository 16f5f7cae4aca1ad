"""The Output node where only some outputs are read, and the modules that run for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from torch import fx

from convlint.analysis.paths import around
from convlint.analysis.unread import idle_groups, needed
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Idle, Node, Ref
from convlint.tracing.lowering.parameters import idle_module
from convlint.tracing.outputs import Kept, Path
from convlint.tracing.trace import Trace


def output(
    result: Any, kept: Kept, inputs: tuple[Ref, ...], ref_of: Callable[[fx.Node], Ref]
) -> ir.Output:
    """Return the operation of the Output node, with a word for each of its inputs."""
    names: dict[Ref, str] = {}
    for path, leaf in _leaves(result):
        name, ref = kept.unread.get(path, ""), ref_of(leaf)
        names[ref] = name and names.get(ref, name)
    others = tuple(kept.unread.values())
    return ir.Output(kept.names, others, tuple(names[ref] for ref in inputs))


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, fx.Node]]:
    if isinstance(value, fx.Node):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _leaves(item, (*path, place))


def settled(graph: ModelGraph, trace: Trace) -> ModelGraph:
    """Return the graph, its Output without unread ones that the others need, with idle modules."""
    end = graph.model_output
    if end is None or not isinstance(end.op, ir.Output):
        return graph
    alive = needed(graph)
    pairs = zip(end.inputs, end.op.unread, strict=True)
    told = [(ref, name) for ref, name in pairs if not (name and ref.node in alive)]
    idle = tuple(_idle_modules(graph, trace))
    op = msgspec.structs.replace(end.op, unread=tuple(name for _, name in told), idle=idle)
    settled = msgspec.structs.replace(end, op=op, inputs=tuple(ref for ref, _ in told))
    return ModelGraph((*graph.nodes[:-1], settled), graph.unused)


def _idle_modules(graph: ModelGraph, trace: Trace) -> Iterator[Idle]:
    """Yield the largest modules of which every operation that ran is for unread outputs."""
    dead = [node for group in idle_groups(graph) for node in group]
    gone = {node.id for node in dead}
    busy = {path for node in graph if node.id not in gone for path in _modules_of(node)}
    largest = (next((p for p in around(n.module) if p not in busy), "") for n in dead)
    for path in dict.fromkeys(largest):
        if path:
            yield idle_module(path, trace.module(path))


def _modules_of(node: Node) -> Iterable[str]:
    """Yield the modules around a node and around the parameters that it reads."""
    yield from around(node.module)
    for param in node.params:
        yield from around(param.name.rpartition(".")[0])
