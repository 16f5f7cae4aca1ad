"""Sums of many terms, and which of their upsampled terms can be added before they grow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from convlint.analysis import drafting
from convlint.analysis.readers import readers
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

NEAREST = ("nearest", "nearest-exact")


@dataclass(frozen=True, slots=True)
class Sum:
    """A chain or tree of additions: ``adds`` in execution order, the last is the result.

    Each adds two tensors, or all that were stacked. ``terms`` are what is added, in order;
    ``others`` the stacks, and the additions of the number 0 between.
    """

    adds: tuple[Node, ...]
    terms: tuple[Ref, ...]
    others: tuple[Node, ...] = ()


@dataclass(slots=True)
class Group:
    """Terms that are upsampled alike from one size, and coarser groups to be added to them.

    ``members`` are Upsample nodes.
    """

    size: ir.Ints
    members: list[Node]
    coarser: list[Group] = field(default_factory=list)

    @property
    def op(self) -> ir.Upsample:
        """The interpolation of the members."""
        op = self.members[0].op
        assert isinstance(op, ir.Upsample)
        return op

    def __iter__(self) -> Iterator[Group]:
        yield self
        for group in self.coarser:
            yield from group


def sums(graph: ModelGraph) -> Iterator[Sum]:
    """Yield the sums of the graph, each as large as it is."""
    inner: set[str] = set()
    found = []
    for node in reversed(graph.nodes):
        if node.id not in inner and _added(graph, node):
            made = _sum(graph, node)
            inner |= {add.id for add in made.adds}
            found.append(made)
    yield from reversed(found)


def _added(graph: ModelGraph, node: Node) -> tuple[Ref, ...]:
    """Return the different tensors of one shape and dtype that a node adds, none for others."""
    stack = _stack(graph, node)
    inputs = node.inputs if node.op == ir.Add() else () if stack is None else stack.inputs
    alike = all(graph.spec(ref) == node.output for ref in inputs)
    return inputs if alike and len(inputs) > 1 and len(set(inputs)) == len(inputs) else ()


def _stack(graph: ModelGraph, node: Node) -> Node | None:
    """Return the stack that a node sums up again, if it alone reads it."""
    op = node.op
    if not isinstance(op, ir.Reduce) or op.fn != "sum" or op.keepdim:
        return None
    before = graph[node.inputs[0].node]
    alone = isinstance(before.op, ir.Stack) and op.axes == (before.op.axis,)
    return before if alone and len(readers(graph, node.inputs[0])) == 1 else None


def _sum(graph: ModelGraph, root: Node) -> Sum:
    adds: list[Node] = []
    others: list[Node] = []
    terms: list[Ref] = []
    waiting = [Ref(root.id)]
    while waiting:
        ref = waiting.pop()
        node = graph[ref.node]
        alone = node is root or len(readers(graph, ref)) == 1
        inputs = _added(graph, node) if alone else ()
        if inputs:
            adds.append(node)
            stack = _stack(graph, node)
            others += [] if stack is None else [stack]
        elif alone and node.op == ir.Add(0.0) and len(node.inputs) == 1:
            others.append(node)
            inputs = node.inputs
        else:
            terms.append(ref)
        waiting += reversed(inputs)
    adds.sort(key=lambda node: graph.order[node.id])
    return Sum(tuple(adds), tuple(terms), tuple(others))


def additions(graph: ModelGraph, total: Sum, suffix: str) -> list[Node]:
    """Return as many additions of two as the sum needs, named after those that it has."""
    made = []
    for node in total.adds:
        if node.op == ir.Add():
            made.append(msgspec.structs.replace(node, id=f"{node.id}~{suffix}", inplace=False))
            continue
        for place in range(len(_added(graph, node)) - 1):
            draft = drafting.draft(node, f"{suffix}{place}", ir.Add(), node.inputs[0], node.output)
            made.append(draft)
    return made


def upsampled(graph: ModelGraph, total: Sum) -> list[Node]:
    """Return the terms that are upsampled maps."""
    nodes = [graph[ref.node] for ref in total.terms]
    return [n for n in nodes if isinstance(n.op, ir.Upsample) and _grows(graph, n)]


def _grows(graph: ModelGraph, node: Node) -> bool:
    before = graph.spec(node.inputs[0])
    return before.elements < node.output.elements and before.dtype == node.output.dtype


def groups(graph: ModelGraph, total: Sum) -> list[Group]:
    """Return the groups that save something: two or more terms in each, coarser ones within.

    Terms that others read as well, or that are added twice, stay out.
    """
    alike: dict[tuple[ir.Upsample, ir.Ints], Group] = {}
    for node in upsampled(graph, total):
        if len(readers(graph, Ref(node.id))) == 1 and total.terms.count(Ref(node.id)) == 1:
            assert isinstance(node.op, ir.Upsample)
            size = graph.spec(node.inputs[0]).shape[2:]
            alike.setdefault((node.op, size), Group(size, [])).members.append(node)
    by_size = sorted(alike.values(), key=lambda group: group.size)
    outer = [group for place, group in enumerate(by_size) if not _nest(group, by_size[place + 1 :])]
    return [group for group in outer if sum(len(g.members) for g in group) > 1]


def _nest(group: Group, finer: list[Group]) -> bool:
    """Add a group to the next finer one that it can be upsampled to on the way, if any."""
    if group.op.mode not in NEAREST or not _doubles(group.op):
        return False
    for other in finer:
        ratio = steps(group, other)
        if other.op.mode == group.op.mode and _doubles(other.op) and _powers(ratio):
            other.coarser.append(group)
            return True
    return False


def steps(coarse: Group, fine: Group) -> tuple[float, ...]:
    """Return by how much the size of one group is that of the other."""
    return tuple(b / a for a, b in zip(coarse.size, fine.size, strict=True))


def _doubles(op: ir.Upsample) -> bool:
    """Tell an interpolation by a power of 2, its positions computed with no other factor."""
    return not op.factors and _powers(op.scale)


def _powers(scale: tuple[float, ...]) -> bool:
    """Tell powers of 2: nearest neighbours of neighbours are then exactly nearest neighbours."""
    return all(s >= 1 and s == int(s) and int(s) & (int(s) - 1) == 0 for s in scale)
