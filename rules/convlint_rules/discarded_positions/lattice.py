"""Regions of a graph that are only read one position in s, and the edit that leaves the rest out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

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
        plain = not (op.transposed or padded or op.computed_weight) and op.taps == 1
        return op.stride if plain else None
    if isinstance(op, ir.Pool):
        one = op.kernel == (1,) * axes and not any(op.padding) and not op.adaptive
        return op.stride if one and not op.ceil_mode and op.type in ("max", "avg") else None
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
        return op.type == "batch" and op.running_stats
    if isinstance(op, ir.Conv):
        padded = any(side for sides in op.padding for side in sides)
        plain = not (op.transposed or padded or op.computed_weight)
        return plain and op.taps == 1 and max(op.stride) == 1
    return isinstance(op, _POINTWISE)


def _strides(node: Node) -> bool:
    """Tell a convolution of several taps that can take a stride over."""
    op = node.op
    return isinstance(op, ir.Conv) and not op.transposed and not op.computed_weight


def _region(graph: ModelGraph, root: Node, step: ir.Ints) -> Region | None:
    """Return the region that ends in ``root``: as far back as nobody else reads."""
    shape = root.output.shape
    readers = tuple(user.id for user in graph.users(root))
    inside: dict[str, Node] = {root.id: root}
    strided: dict[str, None] = {}
    sliced: dict[Ref, None] = {}
    waiting = [root]
    if not _moves(root):
        strided[root.id] = None
        waiting = []
    while waiting:
        node = waiting.pop()
        for ref in node.inputs:
            source = graph[ref.node]
            spec = graph.spec(ref)
            if spec.shape[2:] != shape[2:] or len(spec.shape) != len(shape):
                if len(spec.shape) == len(shape) and set(spec.shape[2:]) != {1}:
                    return None
                if len(spec.shape) not in (0, len(shape)) and not _is_constant(source):
                    return None
                if _is_constant(source) and len(spec.shape) > 2 and set(spec.shape[-2:]) != {1}:
                    return None
                continue
            alone = all(user.id in inside for user in graph.users(source))
            if source.id in inside:
                continue
            if alone and len(source.outputs) == 1 and _moves(source):
                inside[source.id] = source
                waiting.append(source)
            elif alone and len(source.outputs) == 1 and _strides(source):
                inside[source.id] = source
                strided[source.id] = None
            else:
                sliced[ref] = None
    inner = sorted(inside, key=graph.order.__getitem__)
    return Region(root.id, step, tuple(inner), tuple(strided), tuple(sliced), readers)


def _is_constant(node: Node) -> bool:
    return isinstance(node.op, ir.Constant)


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
