"""Regions of a graph that are only read one position in s, and the edit that leaves the rest out."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from convlint.analysis.rescaling import has_own_weight, is_plain_batch_norm
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec
from convlint.ir.validate import conv_output_shape

_POINTWISE = (ir.Activation, ir.Identity, ir.Add, ir.Mul, ir.Elementwise)


@dataclass(frozen=True, slots=True)
class Region:
    """Nodes whose result is only read on a lattice: positions 0, step, 2 step, ...

    ``root`` is the last of them, ``inner`` all in execution order, ``strided`` those convolutions
    that take the stride over, ``sliced`` tensors that are read one position in ``step`` then,
    ``readers`` what skips positions now.
    """

    root: str
    step: ir.Ints
    inner: tuple[str, ...]
    strided: tuple[str, ...]
    sliced: tuple[Ref, ...]
    readers: tuple[str, ...]


def regions(graph: ModelGraph) -> Iterator[Region]:
    """Yield the regions, no node in two of them."""
    taken: set[str] = set()
    for node in reversed(graph.nodes):
        if node.id in taken or len(node.outputs) != 1:
            continue
        step = _read_by(graph, node)
        if step is None or not (_moves(node) or _strides(node)):
            continue
        region = _region(graph, node, step)
        if region is not None and not taken & set(region.inner):
            taken |= set(region.inner)
            yield region


def _read_by(graph: ModelGraph, node: Node) -> ir.Ints | None:
    """Return the step that all readers of a node skip by, None where they do not."""
    steps = {_step(graph, user, node) for user in graph.users(node)}
    step = steps.pop() if len(steps) == 1 else None
    return step if step and max(step) > 1 else None


def _step(graph: ModelGraph, reader: Node, node: Node) -> ir.Ints | None:
    """Return by how many positions a reader skips, starting at the first; None for others."""
    op = reader.op
    if reader.inputs != (Ref(node.id),):
        return None
    axes = len(node.output.shape) - 2
    if isinstance(op, ir.Conv):
        padded = any(side for sides in op.padding for side in sides)
        plain = not (op.transposed or padded) and op.taps == 1 and _is_stored(reader)
        return op.stride if plain else None
    if isinstance(op, ir.Pool):
        one = op.kernel == (1,) * axes and not any(op.padding) and not op.adaptive
        as_is = op.type in ("max", "avg") and op.divisor in (None, 1)
        return op.stride if one and as_is and not op.ceil_mode else None
    if isinstance(op, ir.Upsample) and op.mode == "nearest" and not op.factors:
        sizes = zip(node.output.shape[2:], reader.output.shape[2:], strict=True)
        whole = [before // after if after and before % after == 0 else 0 for before, after in sizes]
        return tuple(whole) if min(whole) > 0 else None
    if isinstance(op, ir.Slice) and len(reader.output.shape) == axes + 2:
        return _slice_step(op, graph.spec(Ref(node.id)).shape)
    return None


def _slice_step(op: ir.Slice, shape: ir.Ints) -> ir.Ints | None:
    steps = [1] * (len(shape) - 2)
    for cut in op.slices:
        whole = cut.start == 0 and cut.stop > ((shape[cut.axis] - 1) // cut.step) * cut.step
        if cut.axis < 2 or not whole:
            return None
        steps[cut.axis - 2] = cut.step
    return tuple(steps)


def _moves(node: Node) -> bool:
    """Tell what may run on some positions alone: each result comes from its own position."""
    op = node.op
    if isinstance(op, ir.Norm):
        return is_plain_batch_norm(node)
    if isinstance(op, ir.Conv):
        padded = any(side for sides in op.padding for side in sides)
        plain = not (op.transposed or padded or op.computed_weight)
        return plain and op.taps == 1 and max(op.stride) == 1
    return isinstance(op, _POINTWISE) or op == ir.Concat(1)


def _strides(node: Node) -> bool:
    """Tell a convolution that can take a stride over: a new layer with the weights it has."""
    op = node.op
    return isinstance(op, ir.Conv) and not op.transposed and _is_stored(node)


def _is_stored(node: Node) -> bool:
    """Tell a layer whose weights a layer with another stride can take over as they are."""
    return has_own_weight(node) and all("_part" not in param.role for param in node.params)


@dataclass(slots=True)
class _Growing:
    """A region while it is found: from the root back, readers before what they read."""

    graph: ModelGraph
    root: Node
    inside: dict[str, Node] = field(default_factory=dict)
    strided: dict[str, None] = field(default_factory=dict)
    sliced: dict[Ref, list[Node]] = field(default_factory=dict)
    readers: dict[Ref, list[Node]] = field(default_factory=dict)
    waiting: list[tuple[int, Ref]] = field(default_factory=list)

    def fill(self) -> bool:
        """Go back as far as nobody else reads; False where a broadcast operand is in the way."""
        if not self._take(self.root):
            return False
        while self.waiting:
            _, ref = heapq.heappop(self.waiting)
            source = self.graph[ref.node]
            alone = all(user.id in self.inside for user in self.graph.users(source))
            fits = alone and len(source.outputs) == 1 and (_moves(source) or _strides(source))
            if fits and not self._take(source):
                return False
            if not fits:
                self.sliced[ref] = self.readers[ref]
        self._stride_pointwise()
        return True

    def _take(self, node: Node) -> bool:
        self.inside[node.id] = node
        if not _moves(node):
            self.strided[node.id] = None
            return True
        for ref in node.inputs if not isinstance(node.op, ir.Conv) else node.inputs[:1]:
            spatial = _spatial(self.graph.spec(ref).shape, node.output.shape)
            if spatial is None:
                return False
            if spatial:
                if ref not in self.readers:
                    heapq.heappush(self.waiting, (-self.graph.order[ref.node], ref))
                self.readers.setdefault(ref, []).append(node)
        return True

    def _stride_pointwise(self) -> None:
        """Let 1x1 convolutions at the rim take the stride in place of a slice before them."""
        for ref, readers in tuple(self.sliced.items()):
            if all(isinstance(node.op, ir.Conv) and _strides(node) for node in readers):
                self.strided.update({node.id: None for node in readers})
                del self.sliced[ref]


def _spatial(operand: ir.Ints, result: ir.Ints) -> bool | None:
    """Tell whether an operand varies over the result's positions: all of them, none of them.

    None where it does over some axes and is broadcast over others.
    """
    axes = len(result) - 2
    sizes = operand[-axes:]
    if len(operand) == len(result) and operand[2:] == result[2:]:
        return True
    return False if all(size == 1 for size in sizes) else None


def _region(graph: ModelGraph, root: Node, step: ir.Ints) -> Region | None:
    """Return the region that ends in ``root``: as far back as nobody else reads."""
    found = _Growing(graph, root)
    if not found.fill():
        return None
    readers = tuple(user.id for user in graph.users(root))
    inner = _in_order(graph, found.inside)
    sliced = tuple(found.sliced)
    return Region(root.id, step, inner, _in_order(graph, found.strided), sliced, readers)


def _in_order(graph: ModelGraph, ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(ids, key=graph.order.__getitem__))


def edit(graph: ModelGraph, region: Region) -> GraphEdit:
    """Return the region on the lattice: strides moved up, what it reads sliced, readers plain."""
    made: dict[Ref, Ref] = {}
    added: list[Node] = []
    for place, ref in enumerate(region.sliced):
        node = _slice(graph, region, ref, place)
        added.append(node)
        made[ref] = Ref(node.id)
    for key in region.inner:
        node = graph[key]
        new = _strided(graph, region, node) if key in region.strided else _moved(region, node, made)
        added.append(new)
        made[Ref(key)] = Ref(new.id)
    redirect = {}
    for key in region.readers:
        reader = graph[key]
        if isinstance(reader.op, ir.Conv):
            plain = msgspec.structs.replace(
                reader,
                id=f"{key}~plain",
                op=without_stride(reader.op),
                inputs=(made[Ref(region.root)],),
            )
            added.append(plain)
            redirect[Ref(key)] = Ref(plain.id)
        else:
            redirect[Ref(key)] = made[Ref(region.root)]
    removed = frozenset({*region.inner, *region.readers})
    return GraphEdit(removed, tuple(added), redirect)


def _small(region: Region, shape: ir.Ints) -> ir.Ints:
    sizes = zip(shape[2:], region.step, strict=True)
    return (*shape[:2], *((size - 1) // step + 1 for size, step in sizes))


def _slice(graph: ModelGraph, region: Region, ref: Ref, place: int) -> Node:
    spec = graph.spec(ref)
    cuts = tuple(
        ir.SliceAxis(axis, 0, spec.shape[axis], step)
        for axis, step in enumerate(region.step, 2)
        if step > 1
    )
    small = TensorSpec(_small(region, spec.shape), spec.dtype)
    root = graph[region.root]
    return Node(f"{root.id}~slice{place}", ir.Slice(cuts), (ref,), (small,), module=root.module)


def _moved(region: Region, node: Node, made: dict[Ref, Ref]) -> Node:
    spec = TensorSpec(_small(region, node.output.shape), node.output.dtype)
    inputs = tuple(made.get(ref, ref) for ref in node.inputs)
    return msgspec.structs.replace(
        node, id=f"{node.id}~read", inputs=inputs, outputs=(spec,), inplace=False
    )


def _strided(graph: ModelGraph, region: Region, node: Node) -> Node:
    assert isinstance(node.op, ir.Conv)
    op = with_stride(node.op, region.step)
    shape = conv_output_shape(op, graph.spec(node.inputs[0]).shape)
    return msgspec.structs.replace(
        node, id=f"{node.id}~read", op=op, outputs=(TensorSpec(shape, node.output.dtype),)
    )


def with_stride(op: ir.Conv, step: ir.Ints) -> ir.Conv:
    """Return the convolution that computes one position in ``step``."""
    stride = tuple(a * b for a, b in zip(op.stride, step, strict=True))
    return msgspec.structs.replace(op, stride=stride, padding_word="")


def without_stride(op: ir.Conv) -> ir.Conv:
    """Return the convolution that reads every position."""
    return msgspec.structs.replace(op, stride=(1,) * len(op.kernel))
