"""Convolutions of a concatenation: which parts were resized, and each part convolved alone.

A convolution of a concatenation is the sum of convolutions of its parts. A part that was upsampled
may be convolved before it grows where the kernel has one tap; a part that has one value a channel
at every position may be convolved as one position and added to all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from convlint.analysis import drafting, pointwise
from convlint.analysis.constants import constants
from convlint.analysis.pointwise import Chain
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

SUFFIX = "part"

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a concatenation: input channels ``start`` to ``stop`` of the convolutions.

    ``growth`` is the id of the node that resizes it, empty where none does; ``chain`` stands
    between that and the concatenation. ``constant`` is true where it grows from one position.
    """

    ref: Ref
    start: int
    stop: int
    growth: str = ""
    chain: Chain | None = None
    constant: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the resizing and of what stands after it."""
        return (self.growth, *self.chain.ids) if self.chain is not None else ()


@dataclass(frozen=True, slots=True)
class Joined:
    """Convolutions that alone read one concatenation, by id, and the parts that it has.

    ``joints`` are the ``concat``, those that are a part of it and what does nothing after it;
    ``tapped`` are joints that others read too.
    """

    concat: str
    convs: tuple[str, ...]
    joints: tuple[str, ...]
    branches: tuple[Branch, ...]
    tapped: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all nodes."""
        grown = (key for branch in self.branches for key in branch.ids)
        return tuple(dict.fromkeys((*grown, *self.joints, *self.convs)))


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that are resized in one way from one size, so that they can be convolved as one."""

    branches: tuple[Branch, ...]

    @property
    def constant(self) -> bool:
        """They have one value a channel."""
        return self.branches[0].constant

    @property
    def channels(self) -> int:
        """How many channels they have together."""
        return sum(branch.stop - branch.start for branch in self.branches)


def joined(graph: ModelGraph) -> tuple[Joined, ...]:
    """Return every concatenation of channels that convolutions read and a part of which grew.

    Parts that do not depend on the model's input count as parts that stay as they are.
    """
    return graph.once(_all_joined)


def _all_joined(graph: ModelGraph) -> tuple[Joined, ...]:
    readers: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for node in graph:
        if not isinstance(node.op, ir.Conv) or node.op.transposed:
            continue
        through = _unchanged(graph, node.inputs[0])
        last = graph[through[-1]]
        if last.op == ir.Concat(1):
            readers.setdefault(last.id, []).append((node.id, through))
    fixed = constants(graph)
    found = (_joined(graph, concat, convs, fixed) for concat, convs in readers.items())
    return tuple(each for each in found if any(branch.growth for branch in each.branches))


def _unchanged(graph: ModelGraph, ref: Ref) -> tuple[str, ...]:
    """Return the ids of the nodes that only hand on what they read, and of the one before them."""
    ids = [ref.node]
    while isinstance(graph[ids[-1]].op, ir.Identity):
        node = graph[ids[-1]]
        if node.output != graph.spec(node.inputs[0]):
            break
        ids.append(node.inputs[0].node)
    return tuple(ids)


def _joined(
    graph: ModelGraph,
    concat: str,
    readers: Sequence[tuple[str, tuple[str, ...]]],
    fixed: Collection[str],
) -> Joined:
    convs = tuple(conv for conv, _ in readers)
    joints = list(dict.fromkeys(key for _, through in readers for key in through))
    branches = tuple(
        Branch(each.ref, each.start, each.stop) if each.growth in fixed else each
        for each in _branches(graph, graph[concat], 0, joints)
    )
    inside = {*convs, *joints}
    tapped = [
        key for key in joints if any(user.id not in inside for user in graph.users(graph[key]))
    ]
    return Joined(concat, convs, tuple(joints), branches, tuple(tapped))


def _branches(graph: ModelGraph, concat: Node, start: int, joints: list[str]) -> tuple[Branch, ...]:
    """Return the parts in order; concatenations that are a part are opened and put to joints."""
    found: list[Branch] = []
    for ref in concat.inputs:
        node, stop = graph[ref.node], start + graph.spec(ref).shape[1]
        if node.op == ir.Concat(1) and _is_alone(graph, node, ref, concat):
            joints.append(node.id)
            found += _branches(graph, node, start, joints)
        else:
            found.append(_branch(graph, ref, start, stop))
        start = stop
    return tuple(found)


def _is_alone(graph: ModelGraph, node: Node, ref: Ref, concat: Node) -> bool:
    """Tell whether the concatenation alone reads the node, and once."""
    users = [user.id for user in graph.users(node)]
    return users == [concat.id] and concat.inputs.count(ref) == 1


def _branch(graph: ModelGraph, ref: Ref, start: int, stop: int) -> Branch:
    chain = pointwise.chain_before(graph, ref)
    growth = graph[chain.source.node]
    if not pointwise.grows(graph, growth):
        return Branch(ref, start, stop)
    one = pointwise.positions(graph.spec(growth.inputs[0]).shape) == 1
    return Branch(ref, start, stop, growth.id, chain, one)


def trouble(graph: ModelGraph, join: Joined, branch: Branch) -> str | None:
    """Return why a part that grew cannot be convolved before it does, None where it can."""
    assert branch.chain is not None
    growth, bend = graph[branch.growth], branch.chain.bend()
    if bend is not None and not pointwise.copies(graph, growth):
        word = bend.op.fn if isinstance(bend.op, (ir.Activation, ir.Elementwise)) else bend.kind
        return f"{word} stands between the upsampling and the concatenation"
    twice = sum(other.growth == branch.growth for other in join.branches) > 1
    if twice or any(len(graph.users(graph[key])) > 1 for key in branch.ids):
        return "the upsampled map has other readers"
    return None


def groups(graph: ModelGraph, branches: Iterable[Branch]) -> tuple[Group, ...]:
    """Return the parts that grow in the same way together; those of one position stand last."""
    alike: dict[tuple[object, ...], list[Branch]] = {}
    for branch in branches:
        growth = graph[branch.growth]
        size = graph.spec(growth.inputs[0]).shape[2:]
        call = (growth.module, growth.function, growth.called_at or growth.id)
        key = ("constant",) if branch.constant else (growth.op, size, call)
        alike.setdefault(key, []).append(branch)
    found = [Group(tuple(members)) for members in alike.values()]
    return tuple(sorted(found, key=lambda group: group.constant))


def split(graph: ModelGraph, join: Joined, chosen: Sequence[Group]) -> GraphEdit:
    """Return the edit that convolves the chosen groups where they are small, and the rest as is."""
    making = _Making(graph, join, [])
    grown = {branch for group in chosen for branch in group.branches}
    rest = tuple(branch for branch in join.branches if branch not in grown)
    sources = [making.join(group) for group in chosen]
    whole = making.rest(rest) if rest else None
    redirect = {}
    for place, key in enumerate(join.convs):
        conv = graph[key]
        total = None if whole is None else making.part(conv, rest, whole, bias=True)
        for count, (group, source) in enumerate(zip(chosen, sources, strict=True)):
            low = making.part(conv, group.branches, source, bias=total is None)
            term = low if group.constant and total else making.grow(group, low, conv, place)
            total = term if total is None else making.add(conv, total, term, count)
        assert total is not None
        redirect[Ref(key)] = total
    removed = {*join.convs, *join.joints, *(key for branch in grown for key in branch.ids)}
    return GraphEdit(frozenset(removed), tuple(making.made), redirect)


def columns(branches: Iterable[Branch]) -> Ranges:
    """Return the input channels of these parts, neighbours as one range."""
    found: list[tuple[int, int]] = []
    for branch in branches:
        if found and found[-1][1] == branch.start:
            found[-1] = (found[-1][0], branch.stop)
        else:
            found.append((branch.start, branch.stop))
    return tuple(found)


def part_id(conv: str, ranges: Ranges) -> str:
    """Return the id of the convolution of these channels of ``conv``."""
    return f"{conv}~{_suffix(ranges)}"


def _suffix(ranges: Ranges) -> str:
    return "_".join([SUFFIX, *(str(side) for pair in ranges for side in pair)])


def ranges_of(join: Joined, chosen: Sequence[Group]) -> tuple[Ranges, ...]:
    """Return the channels of each convolution that :func:`split` makes of one."""
    grown = {branch for group in chosen for branch in group.branches}
    rest = columns(branch for branch in join.branches if branch not in grown)
    found = [columns(group.branches) for group in chosen]
    return (*([rest] if rest else []), *found)


@dataclass(slots=True)
class _Making:
    """New nodes, named after those they stand for."""

    graph: ModelGraph
    join_: Joined
    made: list[Node]

    def join(self, group: Group) -> Ref:
        """Return the parts of a group as they are before they grow, as one tensor."""
        refs, specs = [], []
        for branch in group.branches:
            assert branch.chain is not None
            ref = self.graph[branch.growth].inputs[0]
            spec = self.graph.spec(ref)
            chain = pointwise.move_chain(branch.chain.nodes, SUFFIX, ref, spec.shape)
            self.made += chain
            refs.append(Ref(chain[-1].id) if chain else ref)
            specs.append(spec)
        return self._concat(refs, specs, f"{_suffix(columns(group.branches))}")

    def rest(self, branches: Sequence[Branch]) -> Ref:
        """Return the parts that stay as they are, as one tensor."""
        refs = [branch.ref for branch in branches]
        return self._concat(refs, [self.graph.spec(ref) for ref in refs], f"{SUFFIX}_rest")

    def _concat(self, refs: Sequence[Ref], specs: Sequence[TensorSpec], suffix: str) -> Ref:
        if len(refs) == 1:
            return refs[0]
        total = sum(spec.shape[1] for spec in specs)
        shape = (specs[0].shape[0], total, *specs[0].shape[2:])
        like = self.graph[self.join_.concat]
        made = msgspec.structs.replace(
            like,
            id=f"{like.id}~{suffix}",
            op=ir.Concat(1),
            inputs=tuple(refs),
            outputs=(TensorSpec(shape, specs[0].dtype),),
        )
        self.made.append(made)
        return Ref(made.id)

    def part(self, conv: Node, branches: Sequence[Branch], source: Ref, *, bias: bool) -> Ref:
        """Return the convolution of some parts; of all parts it is the one that there was."""
        assert isinstance(conv.op, ir.Conv)
        shape = self._shape(source)
        ranges = columns(branches)
        small = any(branch.constant for branch in branches) and shape[2:] != self._high(conv)
        op = _narrowed(conv.op, ranges, small and not pointwise.is_pointwise(conv.op), bias)
        if op == conv.op:
            made = pointwise.moved(
                conv, _suffix(ranges), source, (*conv.output.shape[:2], *shape[2:])
            )
        else:
            made = drafting.draft_conv(conv, _suffix(ranges), op, source, shape)
        self.made.append(made)
        return Ref(made.id)

    def _high(self, conv: Node) -> tuple[int, ...]:
        return self.graph.spec(conv.inputs[0]).shape[2:]

    def grow(self, group: Group, low: Ref, conv: Node, place: int) -> Ref:
        """Return the convolved group, resized as its parts were."""
        like = self.graph[group.branches[0].growth]
        suffix = f"{SUFFIX}{place}" if place else SUFFIX
        made = pointwise.moved(like, suffix, low, conv.output.shape)
        if conv.output.shape[2:] != like.output.shape[2:]:
            made = msgspec.structs.replace(made, op=ir.Expand(), inputs=(low,), function="")
        self.made.append(made)
        return Ref(made.id)

    def add(self, conv: Node, total: Ref, term: Ref, count: int) -> Ref:
        """Return the sum, in the place of the convolution."""
        made = Node(
            id=f"{conv.id}~sum{count}",
            op=ir.Add(),
            inputs=(total, term),
            outputs=(conv.output,),
            module=conv.module,
            called_at=conv.called_at,
        )
        self.made.append(made)
        return Ref(made.id)

    def _shape(self, ref: Ref) -> tuple[int, ...]:
        made = next((node for node in self.made if node.id == ref.node), None)
        return (made or self.graph[ref.node]).outputs[ref.output].shape


def _narrowed(op: ir.Conv, ranges: Ranges, one_tap: bool, bias: bool) -> ir.Conv:
    """Return ``op`` for some of its input channels; for a constant one tap is enough."""
    axes = len(op.kernel)
    op = msgspec.structs.replace(
        op, in_channels=sum(stop - start for start, stop in ranges), bias=op.bias and bias
    )
    if not one_tap:
        return op
    ones = (1,) * axes
    return ir.Conv(
        op.in_channels, op.out_channels, ones, ones, ((0, 0),) * axes, ones, bias=op.bias
    )
