"""CL417 space-to-depth-slices: strided slices, concatenated for a convolution that could stride.

What it does
------------
Finds a convolution that reads the concatenation of all r x r strided slices of one map, such as
the Focus layer of YOLOv5 and YOLOX.

Why it costs
------------
The slices are copied into a new tensor that is then read again. A convolution with r times the
kernel, stride r and r times the padding reads the same values out of the map itself.

Example
-------
    self.conv = nn.Conv2d(12, 32, 3, padding=1)
    x = self.conv(torch.cat(
        [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1
    ))

Use instead
-----------
    self.conv = nn.Conv2d(3, 32, 6, stride=2, padding=2)
    x = self.conv(x)

Savings
-------
One write and one read of the map, and a kernel. MACs and weights stay.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
YOLOv5's Focus, 12->32: 0.84, 0.94, 0.82, 0.68.

When not to apply
-----------------
Measure it: on a T4 the slices were reported faster than the strided kernel, on V100 and A100 slower
(ultralytics/yolov5#6257); compilers for edge devices have trouble with the slices (#3168 there).
Silent where the concatenation is read elsewhere, where a slice is missing, on grouped, dilated,
transposed and computed kernels, and on mirrored or replicated borders.

Already done by
---------------
Nobody of those looked at.

Options
-------
None.

References
----------
ultralytics/yolov5#1274 and #4825 on whether both are equal: they are, with the weights reordered.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, mixers
from convlint.analysis.readers import source_of
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "strided"


@dataclass(frozen=True, slots=True)
class Focus:
    """A convolution of slices: of ``source``, by ``factors`` an axis, in the order of ``offsets``."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    concat: str
    source: Ref
    factors: ir.Ints
    offsets: tuple[ir.Ints, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Focus]:
    """Yield convs that read all the strided slices of one map."""
    for node in context.graph:
        if isinstance(node.op, ir.Conv):
            site = _focus(context.graph, node, node.op)
            if site is not None:
                yield site


def _focus(graph: ModelGraph, node: Node, op: ir.Conv) -> Focus | None:
    concat = graph[source_of(graph, node.inputs[0]).node]
    rank = len(op.kernel) + 2
    if not isinstance(concat.op, ir.Concat) or concat.op.axis % rank != 1:
        return None
    parts = [_lattice(graph, ref) for ref in concat.inputs]
    sources = {source for source, _ in parts}
    if len(parts) < 2 or len(sources) != 1:
        return None
    source = sources.pop()
    shape = graph.spec(source).shape
    first = parts[0][1]
    if len(shape) != rank or first[:2] != (range(shape[0]), range(shape[1])):
        return None
    factors = tuple(taken.step for taken in first[2:])
    cuts = [_all(size, factor) for size, factor in zip(shape[2:], factors, strict=True)]
    whole = {(*first[:2], *lattice) for lattice in itertools.product(*cuts)}
    lattices = [taken for _, taken in parts]
    if len(lattices) != math.prod(factors) or set(lattices) != whole:
        return None
    offsets = tuple(tuple(taken[0] for taken in lattice[2:]) for lattice in lattices)
    between = _between(graph, node, source)
    ids = (*sorted(between, key=graph.order.__getitem__), node.id)
    return Focus(node.id, ids, op, concat.id, source, factors, offsets)


def _between(graph: ModelGraph, node: Node, source: Ref) -> set[str]:
    """Return what stands between the map and the conv, as far as nothing else reads it."""
    found = {node.id}
    waiting = list(node.inputs[:1])
    while waiting:
        before = graph[waiting.pop().node]
        if before.id != source.node and all(user.id in found for user in graph.users(before)):
            found.add(before.id)
            waiting += before.inputs
    return found - {node.id}


def _all(size: int, factor: int) -> list[range]:
    """Return the lattices that cut an axis into ``factor`` parts of one length, if it divides."""
    return [range(size)[start::factor] for start in range(factor)] if size % factor == 0 else []


def _lattice(graph: ModelGraph, ref: Ref) -> tuple[Ref, tuple[range, ...]]:
    """Return what slices cut, and the positions of it that are left on each axis."""
    cuts: list[ir.Slice] = []
    node = graph[source_of(graph, ref).node]
    ref = source_of(graph, ref)
    while isinstance(node.op, ir.Slice) and len(node.output.shape) == len(
        graph.spec(node.inputs[0]).shape
    ):
        cuts.append(node.op)
        ref = source_of(graph, node.inputs[0])
        node = graph[ref.node]
    kept = [range(size) for size in graph.spec(ref).shape]
    for cut in reversed(cuts):
        for part in cut.slices:
            kept[part.axis] = kept[part.axis][part.start : part.stop : part.step]
    return ref, tuple(kept)


def guard(context: Context, site: Focus, _options: contract.Options) -> Refusal | None:
    """Refuse kernels and borders for which no strided conv is equal, and other readers."""
    graph, op = context.graph, site.op
    node = graph[site.anchor]
    padded = any(side for sides in op.padding for side in sides)
    dilated = any(d > 1 and k > 1 for d, k in zip(op.dilation, op.kernel, strict=True))
    reasons = {
        "it is transposed": op.transposed,
        f"groups={op.groups}: a group reads some of the slices only": op.groups > 1,
        f"dilation {drafting.short(op.dilation)}": dilated,
        f"its padding is {op.padding_mode}": padded
        and op.padding_mode not in ("zeros", "circular"),
        "its kernel is computed in forward": mixers.weight_of(node) is None or op.computed_weight,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if reason is not None:
        return Refusal(reason, site.nodes)
    if site.concat not in site.nodes:
        return Refusal("the concatenation is read elsewhere too", (site.concat,))
    for other in mixers.sharing(graph, node):
        same = _focus(graph, other, other.op) if isinstance(other.op, ir.Conv) else None
        if same is None or (same.factors, same.offsets) != (site.factors, site.offsets):
            where = other.module or other.id
            return Refusal(f"{where} uses the same weight on another input", (other.id,))
    if context.saves(_edit(graph, site)).bytes_moved <= 0:
        return Refusal("it would save no bytes", site.nodes)
    return None


def rewrite(context: Context, site: Focus, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the strided convolution of the map itself."""
    return (Rewrite("one strided conv", _edit(context.graph, site)),)


def strided(site: Focus) -> ir.Conv:
    """Return the convolution that reads the map: everything times the factors."""
    op = site.op

    def times(values: ir.Ints) -> ir.Ints:
        return tuple(value * r for value, r in zip(values, site.factors, strict=True))

    return msgspec.structs.replace(
        op,
        in_channels=op.in_channels // len(site.offsets),
        kernel=times(op.kernel),
        stride=times(op.stride),
        padding=tuple((a * r, b * r) for (a, b), r in zip(op.padding, site.factors, strict=True)),
        dilation=(1,) * len(op.kernel),
        padding_word="",
    )


def _edit(graph: ModelGraph, site: Focus) -> GraphEdit:
    node = graph[site.anchor]
    shape = graph.spec(site.source).shape
    new = drafting.draft_conv(node, SUFFIX, strided(site), site.source, shape)
    new = msgspec.structs.replace(new, inplace=False)
    return GraphEdit(frozenset(site.nodes), (new,), {Ref(node.id): Ref(new.id)})


def advise(
    context: Context, sites: tuple[Focus, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    node, new = context.graph[site.anchor], strided(site)
    shape = context.graph.spec(site.source).shape
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)})"
    return contract.Advice(
        message=f"{mixers.words(node)}{among} reads {len(site.offsets)} strided slices of a "
        f"{drafting.extent(shape[1:])} map, copied into one tensor: a "
        f"{drafting.extent(new.kernel)} conv with stride {drafting.short(new.stride)} reads the map "
        "itself",
        instead=f"{drafting.chain_code(node, new)}\n# on the map; old checkpoints, once:\n"
        f"{_mapping(node, site, new)}",
        risk="same function; weights of old checkpoints are reordered; which one is faster depends "
        "on the device: convlint measure",
    )


def _mapping(node: Node, site: Focus, new: ir.Conv) -> str:
    """Return code that makes the new weight of the old one."""
    weight = mixers.weight_of(node)
    key = f'old["{weight.name if weight else "weight"}"]'
    names = [chr(ord("a") + axis) for axis in range(len(site.factors))]
    places = ", ".join(f"{n}::{r}" for n, r in zip(names, site.factors, strict=True))
    channels = new.in_channels
    sizes = (new.out_channels, channels, *new.kernel)
    shown = [offset if len(offset) > 1 else f"({offset[0]},)" for offset in site.offsets]
    return (
        f"w, {key} = {key}, torch.empty({', '.join(map(str, sizes))})\n"
        f"for i, ({', '.join(names)}{',' if len(names) == 1 else ''}) in "
        f"enumerate([{', '.join(map(str, shown))}]):\n"
        f"    {key}[:, :, {places}] = w[:, {channels} * i : {channels} * (i + 1)]"
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL417",
        name="space-to-depth-slices",
        summary="strided slices concatenated for a convolution that could stride",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.space_to_depth_slices.apply:weights",
)
