"""CL419 constant-channel-concat: channels that do not depend on the input, convolved every time.

What it does
------------
Finds dense convolutions and linear layers on a concatenation of which a part is always the same:
the coordinate grids of CoordConv, positional maps, learned or made in forward.

Why it costs
------------
A convolution of a concatenation is the sum of the convolutions of its parts. That of the constant
part is a constant map; it can be computed once, borders and all, and added.

Example
-------
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij"))[None]
    x = self.conv(torch.cat([x, grid], 1))                # nn.Conv2d(5, 64, 7, 2, 3)

Use instead
-----------
    x = self.conv(x) + self.map                           # nn.Conv2d(3, 64, 7, 2, 3)

    w = old.pop("conv.weight")                            # once, after training
    old["conv.weight"] = w[:, :3]
    old["map"] = F.conv2d(grid, w[:, 3:], None, 2, 3)

Savings
-------
MACs and weights of the constant channels, and the concatenation; one addition of a map more. The
map is kept as a buffer.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
CoordConv stem, 3+2->32: 0.75, 0.74, 0.83, 0.90.

When not to apply
-----------------
The map holds at one input size (and for weights that no longer change). Left alone where the
concatenation has other readers, where the constant part may be random, where the weight also
serves other calls, and where the addition moves so many bytes more that less than
min-macs-per-byte products are saved for each: two grids beside many channels cost little.
A part that depends on the input, as a pooled branch that is broadcast, is CL404's.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, OpenVINO, TVM, XLA, Inductor, coremltools).

Options
-------
min-macs-per-byte = 0.0: products to be saved for each byte that is moved more; 0 takes what the
target computes in the time it moves a byte, 4 where that is not known.

References
----------
Linearity of the convolution; CoordConv, arXiv 1807.03247.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, mixers
from convlint.analysis.constants import constants, is_uniform
from convlint.analysis.readers import left_unread
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref, TensorSpec

SUFFIX = "rest"
MACS_PER_BYTE = 4.0
"""What a target computes in the time it moves a byte, where its profile does not tell."""


class ConstantChannelConcatOptions(contract.Options, frozen=True):
    """Options of CL419."""

    min_macs_per_byte: float = 0.0


@dataclass(frozen=True, slots=True)
class ConstantPart:
    """A layer on a concatenation; ``fixed`` are the places of the parts that are constant."""

    anchor: str
    nodes: tuple[str, ...]
    concat: str
    fixed: tuple[int, ...]


def find(context: Context, _options: ConstantChannelConcatOptions) -> Iterator[ConstantPart]:
    """Yield dense layers that read a concatenation of constants and other parts."""
    graph = context.graph
    known = constants(graph)
    for node in graph:
        axis = mixers.mixed_axis(graph, node)
        if axis is None:
            continue
        concat = graph[node.inputs[0].node]
        if concat.op != ir.Concat(axis):
            continue
        fixed = tuple(i for i, ref in enumerate(concat.inputs) if ref.node in known)
        if 0 < len(fixed) < len(concat.inputs):
            yield ConstantPart(node.id, (concat.id, node.id), concat.id, fixed)


def guard(
    context: Context, site: ConstantPart, options: ConstantChannelConcatOptions
) -> Refusal | None:
    """Refuse where the parts are needed elsewhere, or where little is gained for much traffic."""
    graph = context.graph
    node, concat = graph[site.anchor], graph[site.concat]
    if mixers.weight_of(node) is None:
        return Refusal("its weight is computed in forward", site.nodes)
    others = [user.id for user in graph.users(concat) if user.id != node.id]
    if others:
        return Refusal("others read the concatenation too", tuple(others))
    shared = [other for other in mixers.sharing(graph, node) if other.id != node.id]
    if shared:
        where = shared[0].module or shared[0].id
        return Refusal(f"{where} uses the same weight", (shared[0].id,))
    saved = context.saves(_edit(graph, site))
    more = -saved.bytes_moved
    least = options.min_macs_per_byte or context.target.number("ridge", MACS_PER_BYTE)
    if saved.macs <= 0 or (more > 0 and saved.macs < least * more):
        reason = f"it saves {max(saved.macs, 0):,} MACs and moves {more:,} bytes more"
        return Refusal(reason, site.nodes)
    return None


def rewrite(
    context: Context, site: ConstantPart, _options: ConstantChannelConcatOptions
) -> tuple[Rewrite, ...]:
    """Return the layer on the other parts, and the addition of the constant map."""
    return (Rewrite("a constant map, added", _edit(context.graph, site)),)


def split_parts(graph: ModelGraph, site: ConstantPart) -> tuple[list[Ref], list[Ref]]:
    """Return what depends on the input and what is constant, each in order."""
    parts = list(enumerate(graph[site.concat].inputs))
    moving = [ref for place, ref in parts if place not in site.fixed]
    return moving, [ref for place, ref in parts if place in site.fixed]


def _edit(graph: ModelGraph, site: ConstantPart) -> GraphEdit:
    node, concat = graph[site.anchor], graph[site.concat]
    moving, fixed = split_parts(graph, site)
    axis = mixers.mixed_axis(graph, node)
    assert axis is not None
    whole = concat.output.shape
    channels = sum(graph.spec(ref).shape[axis] for ref in moving)
    shape = (*whole[:axis], channels, *whole[axis + 1 :])
    source, added = moving[0], []
    if len(moving) > 1:
        joined = msgspec.structs.replace(
            concat,
            id=f"{concat.id}~{SUFFIX}",
            inputs=tuple(moving),
            outputs=(TensorSpec(shape, concat.output.dtype),),
        )
        source = Ref(joined.id)
        added.append(joined)
    layer = mixers.with_channels(node, SUFFIX, source, shape, channels)
    constant = _map(graph, node, fixed)
    total = drafting.draft(node, "sum", ir.Add(), Ref(layer.id), node.output)
    total = msgspec.structs.replace(total, inputs=(Ref(layer.id), Ref(constant.id)))
    removed = left_unread(graph, {node.id, concat.id}, fixed)
    return GraphEdit(removed, (*added, layer, constant, total), {Ref(node.id): Ref(total.id)})


def _map(graph: ModelGraph, node: Node, fixed: list[Ref]) -> Node:
    """Return the constant: the layer's result on the fixed parts, without the bias."""
    shape, dtype = node.output.shape, node.output.dtype
    if all(is_uniform(graph, ref) for ref in fixed):
        shape = (1, *shape[1:])
    name = f"{node.id.replace('~', '_')}_map"
    weight = mixers.weight_of(node)
    storage = f"{weight.storage if weight else node.id}~{node.id}.map"
    made = drafting.draft(node, "map", ir.Constant("buffer", name), Ref(node.id), node.output)
    return msgspec.structs.replace(
        made,
        inputs=(),
        outputs=(TensorSpec(shape, dtype),),
        params=(Param(name, storage, shape, dtype, "weight", buffer=True),),
    )


def advise(
    context: Context, sites: tuple[ConstantPart, ...], _options: ConstantChannelConcatOptions
) -> contract.Advice:
    """Word the finding by the place that saves most."""
    graph = context.graph
    site = max(sites, key=lambda site: context.saves(_edit(graph, site)).macs)
    node, concat = graph[site.anchor], graph[site.concat]
    _, fixed = split_parts(graph, site)
    axis = mixers.mixed_axis(graph, node)
    assert axis is not None
    count = sum(graph.spec(ref).shape[axis] for ref in fixed)
    new = {added.id: added for added in _edit(graph, site).added}
    constant, layer = new[f"{node.id}~map"], new[f"{node.id}~{SUFFIX}"]
    among = "" if len(sites) == 1 else f" (the first of {len(sites)} places)"
    size = drafting.extent(graph.spec(concat.inputs[0]).shape[2:])
    return contract.Advice(
        message=f"{count} of the {mixers.read_channels(node)} channels that the "
        f"{mixers.words(node)} reads{f' at {size}' if size else ''}{among} do not depend on the "
        f"input: their part of the result is a constant {drafting.extent(constant.output.shape)} "
        f"({constant.output.bytes / 1024:,.0f} KiB as a buffer)",
        instead=f"{mixers.code(layer)}\ny = conv(x) + self.map  # a buffer: this layer's weight "
        f"for the {count} channels,\n# run on them once after training, without the bias",
        risk="same function at this input size, for weights that are final; old checkpoints: the "
        "weight is cut in two and one part becomes the map",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL419",
        name="constant-channel-concat",
        summary="channels that do not depend on the input are convolved every time",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        at_size=True,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=ConstantChannelConcatOptions,
    weights="convlint_rules.constant_channel_concat.apply:weights",
)
