"""CL427 discarded-channels: a layer computes channels that nobody reads.

What it does
------------
Finds convolutions and linear layers of whose result only some channels are read: slices, parts of
a split or indices that leave the others out. Activations and batch norms may stand between.

Why it costs
------------
Each output channel has weights of its own and is computed on its own: what nobody reads costs as
much as what is used.

Example
-------
    mean, logvar = self.to_moments(x).chunk(2, 1)
    return self.decoder(mean)

Use instead
-----------
    self.to_mean = nn.Conv2d(64, 8, 1)  # half of the channels
    return self.decoder(self.to_mean(x))

    old["to_mean.weight"] = old["to_moments.weight"][:8]  # once, for old checkpoints

Savings
-------
MACs and weights times 1 - channels read / channels, and the bytes of the others.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
conv of which half the channels are read: 0.58, 0.60, 0.52, 0.63.

When not to apply
-----------------
True for this forward pass: training, or another method, may read the rest. Silent where every
channel is read by somebody (ShuffleNetV2, C2f), on computed kernels, on layers that other calls
read otherwise, and on grouped convolutions whose groups would become uneven.

Already done by
---------------
Nobody of those looked at.

Options
-------
None.

References
----------
The definition of a convolution: output channels do not depend on one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
from convlint_rules.discarded_channels.readers import Read, Reader, read_of

from convlint import contract
from convlint.analysis import drafting, mixers, rescaling
from convlint.analysis.pointwise import moved
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref, TensorSpec

SUFFIX = "used"


@dataclass(frozen=True, slots=True)
class Discarded:
    """A layer, and what is read of it."""

    anchor: str
    nodes: tuple[str, ...]
    read: Read

    @property
    def kept(self) -> tuple[int, ...]:
        """The channels that are read."""
        return self.read.kept


def find(context: Context, _options: contract.Options) -> Iterator[Discarded]:
    """Yield layers of which some output channels are read and others are not."""
    for node in context.graph:
        if isinstance(node.op, (ir.Conv, ir.Linear)):
            read = read_of(context.graph, node)
            if read is not None:
                readers = dict.fromkeys(reader.node for reader in read.readers)
                yield Discarded(node.id, (node.id, *read.chain, *readers), read)


def guard(context: Context, site: Discarded, _options: contract.Options) -> Refusal | None:
    """Refuse weights that are not the layer's alone, uneven groups and readers out of order."""
    graph, node = context.graph, context.graph[site.anchor]
    if mixers.weight_of(node) is None or getattr(node.op, "computed_weight", False):
        return Refusal("its weight is computed in forward", site.nodes)
    for key in (site.anchor, *site.read.chain):
        for other in _sharing(graph, graph[key]):
            where = other.module or other.id
            return Refusal(f"{where} uses the same weights on other channels", (other.id,))
    if isinstance(node.op, ir.Conv) and groups_kept(node.op, site.kept) is None:
        what = f"groups={node.op.groups} would keep unequal numbers of channels"
        return Refusal(what, site.nodes)
    for reader in site.read.readers:
        if _picked(graph, site, reader) is None:
            return Refusal("what is read lies apart and is cut on other axes too", (reader.node,))
    return None


def _sharing(graph: ModelGraph, node: Node) -> Iterator[Node]:
    """Yield other nodes that use the weights of a layer or norm."""
    if isinstance(node.op, (ir.Conv, ir.Linear, ir.Norm)):
        for other in graph.holders(param.storage for param in node.params):
            if other.id != node.id:
                yield other


def groups_kept(op: ir.Conv, kept: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the groups that are left, None where they keep unequal numbers of channels."""
    size = op.out_channels // op.groups
    counts: dict[int, int] = {}
    for channel in kept:
        counts[channel // size] = counts.get(channel // size, 0) + 1
    return tuple(counts) if len(set(counts.values())) == 1 else None


def rewrite(context: Context, site: Discarded, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the layer with the channels that are read."""
    label = f"the {len(site.kept)} channels that are read"
    return (Rewrite(label, _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Discarded) -> GraphEdit:
    node = graph[site.anchor]
    added = list(_layer(graph, node, site.kept))
    last, shape = Ref(added[-1].id), added[-1].output.shape
    for key in site.read.chain:
        added.append(_narrowed(graph[key], last, shape, len(site.kept)))
        last = Ref(added[-1].id)
    redirect: dict[Ref, Ref] = {}
    for reader in site.read.readers:
        made = _reads(graph, site, reader, last)
        added += [] if made is None else [made]
        redirect[reader.output] = last if made is None else Ref(made.id)
    return GraphEdit(frozenset(site.nodes) | site.read.dead, tuple(added), redirect)


def _layer(graph: ModelGraph, node: Node, kept: tuple[int, ...]) -> Iterator[Node]:
    """Yield the layer with fewer channels, after the channels that its groups still read."""
    source, op = node.inputs[0], node.op
    shape = graph.spec(source).shape
    if isinstance(op, ir.Linear):
        yield _linear(node, op, len(kept))
        return
    assert isinstance(op, ir.Conv)
    left = groups_kept(op, kept) or ()
    channels = op.in_channels // op.groups * len(left)
    if channels < op.in_channels:
        size = op.in_channels // op.groups
        picked = tuple(group * size + place for group in left for place in range(size))
        shape = (shape[0], channels, *shape[2:])
        spec = TensorSpec(shape, graph.spec(source).dtype)
        made = drafting.draft(node, "read", _pick(1, picked), source, spec)
        source = Ref(made.id)
        yield made
    new = msgspec.structs.replace(
        op, in_channels=channels, out_channels=len(kept), groups=len(left)
    )
    layer = drafting.draft_conv(node, SUFFIX, new, source, shape)
    yield msgspec.structs.replace(layer, inplace=False)


def _linear(node: Node, op: ir.Linear, features: int) -> Node:
    shapes = {"weight": (features, op.in_features), "bias": (features,)}
    return msgspec.structs.replace(
        node,
        id=f"{node.id}~{SUFFIX}",
        op=msgspec.structs.replace(op, out_features=features),
        outputs=(TensorSpec((*node.output.shape[:-1], features), node.output.dtype),),
        params=tuple(_param(p, shapes[p.role]) for p in node.params if p.role in shapes),
        inplace=False,
    )


def _param(old: Param, shape: ir.Ints) -> Param:
    return msgspec.structs.replace(
        old, name=f"{old.name}.{SUFFIX}", storage=f"{old.storage}~{SUFFIX}", shape=shape
    )


def _narrowed(node: Node, source: Ref, shape: ir.Ints, channels: int) -> Node:
    """Return what stands between on fewer channels; a norm has fewer parameters too."""
    made = moved(node, SUFFIX, source, shape)
    if not isinstance(node.op, ir.Norm):
        return made
    fewer = tuple(_param(param, (channels,)) for param in node.params if param.shape)
    return msgspec.structs.replace(made, params=fewer)


def _pick(axis: int, places: tuple[int, ...]) -> ir.Slice | ir.Gather:
    """Return the operation that takes these places: a slice where they are evenly apart."""
    steps = {b - a for a, b in pairwise(places)}
    step = next(iter(steps)) if len(steps) == 1 else 1
    if len(steps) > 1 or step < 1:
        return ir.Gather(axis, places)
    return ir.Slice((ir.SliceAxis(axis, places[0], places[-1] + 1, step),))


def _picked(graph: ModelGraph, site: Discarded, reader: Reader) -> ir.Slice | ir.Gather | None:
    """Return how a reader takes its channels out of those kept; None where it cannot."""
    places = tuple(site.kept.index(channel) for channel in reader.channels)
    picked = _pick(site.read.axis, places)
    op = graph[reader.node].op
    others = tuple(p for p in op.slices if p.axis != site.read.axis) if isinstance(op, ir.Slice) else ()  # fmt: skip
    rank = len(graph[site.anchor].output.shape)
    dropped = isinstance(op, ir.Slice) and len(graph[reader.node].output.shape) != rank
    if isinstance(picked, ir.Slice):
        return ir.Slice((*picked.slices, *others))
    return None if others or dropped else picked


def _reads(graph: ModelGraph, site: Discarded, reader: Reader, source: Ref) -> Node | None:
    """Return the node that takes a reader's channels; None where it takes all as they are."""
    old = graph[reader.node]
    wanted = old.outputs[reader.output.output]
    whole = list(graph[site.anchor].output.shape)
    whole[site.read.axis] = len(site.kept)
    if reader.channels == site.kept and wanted.shape == tuple(whole):
        return None
    picked = _picked(graph, site, reader)
    assert picked is not None
    return drafting.draft(old, f"{SUFFIX}{reader.output.output}", picked, source, wanted)


def advise(
    context: Context, sites: tuple[Discarded, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest layer."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    node = context.graph[site.anchor]
    total, count = rescaling.out_channels(node), len(site.kept)
    layer = next(n for n in _layer(context.graph, node, site.kept) if n.params)
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)})"
    return contract.Advice(
        message=f"{mixers.words(node)}{among} writes {total} channels, and what reads it takes {count}: "
        f"{total - count} are computed for nobody",
        instead=f"{mixers.code(layer)}\n# old checkpoints, once: {_mapping(node, site.kept)}",
        risk="same function for this forward pass, where training or another method may read the "
        "rest; weights of old checkpoints are cut, and those of a norm behind",
    )


def _mapping(node: Node, kept: tuple[int, ...]) -> str:
    """Return code that makes the new weight and bias of the old ones."""
    weight = mixers.weight_of(node)
    stem = weight.name if weight else "weight"
    picked = _pick(0, kept)
    if isinstance(picked, ir.Slice):
        part = picked.slices[0]
        places = f"{part.start}:{part.stop}" + (f":{part.step}" if part.step > 1 else "")
    else:
        places = mixers.indices(kept)
    dims = ":, " if isinstance(node.op, ir.Conv) and node.op.transposed else ""
    bias = ", its bias too" if getattr(node.op, "bias", False) else ""
    return f'old["{stem}"] = old["{stem}"][{dims}{places}]{bias}'


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL427",
        name="discarded-channels",
        summary="a layer computes channels that nobody reads",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.discarded_channels.apply:weights",
)
