"""CL420 redundant-permutation: channels reordered right before a layer that mixes them all.

What it does
------------
Finds a channel shuffle, flip, index_select or view-permute-view, in whatever spelling, whose
only reader is a dense convolution or a linear layer over those channels, and pairs of such
moves that cancel.

Why it costs
------------
A reordered map is a copy of the whole map. A dense layer sums over all its input channels, in
any order: with the columns of its weight in the other order it reads the map as it is.

Example
-------
    x = self.reduce(F.channel_shuffle(x, 4))
    logits = self.fc(x.permute(0, 2, 3, 1).flatten(1))

Use instead
-----------
    x = self.reduce(x)
    logits = self.fc(x.flatten(1))

    order = F.channel_shuffle(torch.arange(c).view(1, c, 1, 1), 4).flatten()
    old["reduce.weight"][:, order] = old["reduce.weight"].clone()  # once, for old checkpoints

Savings
-------
One read and one write of the map, and a kernel. What a view after a permute copies is not
counted, so a hand-written shuffle may show no saving.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
channel shuffle, then a dense 1x1: 0.84, 0.94, 0.91, 0.93.

When not to apply
-----------------
Decided from the exact flow of the channels: every element has to stay at its place along the
other axes. Silent where others read the moved map too (the split halves of ShuffleNet v2; only its
last shuffle, before the dense 1x1 of the head, is found), before
grouped and depthwise convolutions (there the shuffle is the point), where anything but data
movement stands between, and where the layer's weight also serves other calls.

Already done by
---------------
OpenVINO, for reversed input channels.

Options
-------
None.

References
----------
A sum does not depend on the order of its terms; OpenVINO, ReverseInputChannelsFusion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, mixers
from convlint.analysis.origins import Origin, origins
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.cost.traffic import FREE
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "ordered"


@dataclass(frozen=True, slots=True)
class Reordered:
    """A layer and the movement before it, which reorders its channels or nothing at all."""

    anchor: str
    nodes: tuple[str, ...]
    origin: Origin


def find(context: Context, _options: contract.Options) -> Iterator[Reordered]:
    """Yield dense layers whose input is one map with its channels reordered."""
    for node in context.graph:
        origin = _reordered(context.graph, node)
        if origin is not None:
            moved = sorted(origin.moved, key=context.graph.order.__getitem__)
            yield Reordered(node.id, (*moved, node.id), origin)


def _reordered(graph: ModelGraph, node: Node) -> Origin | None:
    """Return the origin that takes away the most movement; None where there is none."""
    axis = mixers.mixed_axis(graph, node)
    if axis is None:
        return None
    alike = [
        origin
        for origin in origins(graph, node, axis)
        if len(origin.sources) == 1
        and len(origin.channels) == origin.total
        and origin.reads_all
        and _moves(graph, origin)
    ]
    return alike[-1] if alike else None


def _moves(graph: ModelGraph, origin: Origin) -> bool:
    """Tell whether elements really move: views alone cost nothing."""
    ops = [graph[key].op for key in origin.moved]
    return any(isinstance(op, ir.Permute) or not isinstance(op, FREE) for op in ops) and (
        origin.is_permutation or any(not isinstance(op, FREE) for op in ops)
    )


def guard(context: Context, site: Reordered, _options: contract.Options) -> Refusal | None:
    """Refuse a weight that is not the layer's alone."""
    node = context.graph[site.anchor]
    if not site.origin.is_permutation:
        return None
    if mixers.weight_of(node) is None:
        return Refusal("its weight is computed in forward", site.nodes)
    for other in mixers.sharing(context.graph, node):
        same = _reordered(context.graph, other)
        if same is None or same.channels != site.origin.channels:
            where = other.module or other.id
            return Refusal(f"{where} uses the same weight on another order", (other.id,))
    return None


def rewrite(context: Context, site: Reordered, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the layer on the map as it is, its weight reordered."""
    return (Rewrite("the weight in the map's order", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Reordered) -> GraphEdit:
    node, origin = graph[site.anchor], site.origin
    source, target = origin.sources[0], node.inputs[0]
    shape = graph.spec(target).shape
    added: tuple[Node, ...] = ()
    if graph.spec(source).shape != shape:
        flat = drafting.draft(node, "flat", ir.Reshape(), source, graph.spec(target))
        source, added = Ref(flat.id), (flat,)
    if not origin.is_permutation:
        return GraphEdit(origin.moved, added, {target: source})
    layer = mixers.with_channels(node, SUFFIX, source, shape, origin.total)
    removed = frozenset({*origin.moved, node.id})
    return GraphEdit(removed, (*added, layer), {Ref(node.id): Ref(layer.id)})


def advise(
    context: Context, sites: tuple[Reordered, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest map."""
    graph = context.graph
    site = max(sites, key=lambda site: graph.spec(graph[site.anchor].inputs[0]).elements)
    node, origin = graph[site.anchor], site.origin
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} places)"
    what = " + ".join(_names(graph, origin))
    size = drafting.extent(graph.spec(node.inputs[0]).shape)
    if not origin.is_permutation:
        return contract.Advice(
            message=f"{what} over {size} before the {mixers.words(node)}{among} leave every "
            "element where it was",
            instead=f"{mixers.code(node)}  # as it is, without the moves before it",
            risk="same function, old checkpoints load as they are",
        )
    return contract.Advice(
        message=f"{what} reorders the {origin.total} channels of {size} right before a dense "
        f"{mixers.words(node)}{among}, which sums over them in any order",
        instead=f"{mixers.code(node)}  # as it is, without the moves before it\n"
        f"# old checkpoints, once:\n{_mapping(node, origin)}",
        risk="same function; the weight of old checkpoints has to be reordered, or the model is "
        "silently wrong: its shape stays",
    )


def _names(graph: ModelGraph, origin: Origin) -> list[str]:
    order = sorted(origin.moved, key=graph.order.__getitem__)
    kinds = [graph[key].kind.replace("_", " ") for key in order]
    return [kind for kind in kinds if kind != "identity"]


def _mapping(node: Node, origin: Origin) -> str:
    """Return code that puts the old weight into the new order."""
    weight = mixers.weight_of(node)
    key = f'old["{weight.name if weight else "weight"}"]'
    rows = isinstance(node.op, ir.Conv) and node.op.transposed
    place = "[order]" if rows else "[:, order]"
    return f"order = {mixers.indices(origin.channels)}\n{key}{place} = {key}.clone()"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL420",
        name="redundant-permutation",
        summary="channels reordered right before a dense layer, which reads them in any order",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        gated=False,
        yields_to=("CL421",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.repeated_input_channels.apply:weights",
)
