"""Which channel groups of a grouped conv reach which input groups of the next grouped convs.

The output channels of a grouped conv are labelled with their group, and the labels are
followed exactly through whatever moves elements, until the next grouped conv. Between the
two stands a bipartite graph (groups of the first x groups of the second): more than one
component means that channels stay in islands.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Collection
from dataclasses import dataclass, field

from convlint.analysis import labels as lb
from convlint.analysis.labels import Labels
from convlint.analysis.movement import move
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

MOST_STEPS = 2_000
"""Nodes that one conv's labels are followed through; past it the rest counts as mixed."""


class Flow(enum.Enum):
    """What lies between two grouped convs: isolation, a shuffle by movement, or computation."""

    ISLANDS = "islands"
    SHUFFLED = "shuffled"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two grouped convs, by node id, the second reached from the first with none between.

    ``islands`` is the number of components between their groups.
    """

    first: str
    second: str
    flow: Flow
    islands: int


def grouped_pairs(graph: ModelGraph, starts: Collection[str] | None = None) -> tuple[Pair, ...]:
    """Return the pairs of grouped convs in execution order of the first (one of ``starts``).

    A grouped conv (1 < groups < Cin) pairs with the next grouped ones, through depthwise
    convs; a depthwise one only with a depthwise one that follows in a plain chain without any
    conv between: token mixers with a shortcut and pyramids of contexts, whose values several
    nodes read or which meet in a sum, are no mistake.
    Pairs where a group of the second is fed by no label are left out, and so are pairs that
    only fully mixed values connect.
    """
    return tuple(
        pair
        for node in graph
        if isinstance(node.op, ir.Conv) and _is_learned(node, node.op)
        if starts is None or node.id in starts
        for pair in _Walk(graph, node, node.op).pairs()
    )


def _is_learned(node: Node, op: ir.Conv) -> bool:
    """Tell a grouped conv with weights of its own from fixed filters and computed kernels."""
    weights = [param for param in node.params if param.role == "weight"]
    fixed = bool(weights) and all(param.buffer for param in weights)
    return op.groups > 1 and not op.computed_weight and not fixed


@dataclass(slots=True)
class _Walk:
    """Follows the labels of one conv through the graph, in execution order."""

    graph: ModelGraph
    start: Node
    op: ir.Conv
    values: dict[Ref, Labels] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)
    live: int = 0
    queue: list[tuple[int, str]] = field(default_factory=list)
    queued: set[str] = field(default_factory=set)

    @property
    def mixed(self) -> int:
        """All labels, and above them the bit for computation."""
        return (2 << self.op.groups) - 1

    def pairs(self) -> list[Pair]:
        """Return the pairs that start here; stop once no partly labelled value is unread."""
        width = self.op.out_channels // self.op.groups
        cells = (1 << (channel // width) for channel in range(self.op.out_channels))
        self._put(self.start, (lb.along(1, cells),))
        found: list[Pair] = []
        steps = 0
        while self.live > 0 and self.queue and steps < MOST_STEPS:
            steps += 1
            node = self.graph[heapq.heappop(self.queue)[1]]
            self.live -= len({ref.node for ref in node.inputs} & self.partial)
            if isinstance(node.op, ir.Output):
                continue
            pair = self._pair(node)
            if pair is not None:
                found.append(pair)
            self._put(node, self._advance(node))
        return found

    def _advance(self, node: Node) -> tuple[Labels, ...]:
        """A conv that pairs takes over from here, so what follows it counts as mixed."""
        taken_over = isinstance(node.op, ir.Conv) and self._takes_over(node, node.op)
        if taken_over or (self.op.depthwise and self._joins_branches(node)):
            return (lb.uniform(self.mixed),) * len(node.outputs)
        nothing = lb.uniform(0)
        values = tuple(self.values.get(ref, nothing) for ref in node.inputs)
        return move(node, values, self.graph.input_specs(node), self.mixed)

    def _joins_branches(self, node: Node) -> bool:
        computed = [
            ref for ref in node.inputs if not isinstance(self.graph[ref.node].op, ir.Constant)
        ]
        return isinstance(node.op, (ir.Add, ir.Mul)) and len(computed) > 1

    def _put(self, node: Node, values: tuple[Labels, ...]) -> None:
        everything = (1 << self.op.groups) - 1
        users = self.graph.users(node)
        if self.op.depthwise and len(users) > 1:
            values = (lb.uniform(self.mixed),) * len(values)
        for output, value in enumerate(values):
            self.values[Ref(node.id, output)] = value
        if any(cell & everything != everything for value in values for cell in value.cells):
            self.partial.add(node.id)
            self.live += len(users)
        for user in users:
            if user.id not in self.queued:
                self.queued.add(user.id)
                heapq.heappush(self.queue, (self.graph.order[user.id], user.id))

    def _takes_over(self, node: Node, op: ir.Conv) -> bool:
        if not _is_learned(node, op):
            return False
        return op.depthwise == self.op.depthwise

    def _pair(self, node: Node) -> Pair | None:
        op = node.op
        if not isinstance(op, ir.Conv) or not self._takes_over(node, op):
            return None
        if op.depthwise and _is_factorised(self.op, op):
            return None
        value = self.values.get(node.inputs[0])
        if value is None:
            return None
        if 0 in value.dims:
            return Pair(self.start.id, node.id, Flow.MIXED, 1)
        for dim in range(2, 2 + len(op.kernel)):
            value = lb.merge_along(value, dim)
        groups = _cells_by_group(value, op)
        flag = self.mixed ^ (self.mixed >> 1)
        if not all(cell & ~flag for cell in groups):
            return None
        islands = _components([cell & ~flag for cell in groups])
        computed = any(cell & flag for cell in groups)
        alone = Flow.MIXED if computed else Flow.SHUFFLED
        return Pair(self.start.id, node.id, Flow.ISLANDS if islands > 1 else alone, islands)


def _is_factorised(first: ir.Conv, second: ir.Conv) -> bool:
    """Tell a large depthwise kernel made of two: a dilated second, or a strip among them."""
    strips = any(min(op.kernel) == 1 < max(op.kernel) for op in (first, second))
    return strips or max(second.dilation) > 1


def _cells_by_group(value: Labels, op: ir.Conv) -> list[int]:
    """Return what each input group depends on."""
    width = op.in_channels // op.groups
    channels = lb.spread(value, {1: op.in_channels}).cells
    groups = [0] * op.groups
    for channel, cell in enumerate(channels):
        groups[channel // width] |= cell
    return groups


def _components(masks: list[int]) -> int:
    """Return the number of components of the bipartite graph: label sets that share nothing."""
    islands: list[int] = []
    for mask in masks:
        apart = []
        for island in islands:
            if island & mask:
                mask |= island
            else:
                apart.append(island)
        islands = [*apart, mask]
    return len(islands)
