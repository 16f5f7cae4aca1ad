"""CL502 early-depthwise: expand and depthwise layers on large maps, on a GPU.

What it does
------------
Under GPU profiles, finds a 1x1 convolution that expands channels followed by a depthwise 3x3 on a
map of 56x56 and more.

Why it costs
------------
A depthwise layer does few MACs for each byte, so a GPU waits for memory. One dense 3x3 in place of
both (Fused-MBConv) does more MACs in less time: EfficientNet-B4 with its first three stages fused
went from 4.5 to 7.5 GFLOPs and from 155 to 216 images a second on a V100.

Example
-------
    nn.Conv2d(24, 96, 1), nn.BatchNorm2d(96), nn.SiLU(),
    nn.Conv2d(96, 96, 3, padding=1, groups=96), nn.BatchNorm2d(96), nn.SiLU(),

Use instead
-----------
    nn.Conv2d(24, 96, 3, padding=1), nn.BatchNorm2d(96), nn.SiLU(),

Savings
-------
None in MACs: it costs more of them, the message says how many. It is about time, so measure it.

When not to apply
-----------------
Another function: retrain. Not on CPUs and small devices, and not in later stages: fusing all of
EfficientNet-B4 was slower than fusing three stages. Large depthwise kernels are another matter.

Already done by
---------------
Nobody: it is another function.

Options
-------
min-map = 0: least side of the map; 0 takes the target's.

References
----------
Tan & Le, EfficientNetV2, arXiv 2104.00298 (Table 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref


class EarlyDepthwiseOptions(contract.Options, frozen=True):
    """Options of CL502."""

    min_map: int = 0


@dataclass(frozen=True, slots=True)
class Early:
    """A depthwise conv and the 1x1 before it; ``nodes`` holds what lies between, too."""

    anchor: str
    nodes: tuple[str, ...]
    expand: ir.Conv
    depthwise: ir.Conv
    side: int


def find(context: Context, options: EarlyDepthwiseOptions) -> Iterator[Early]:
    """Yield depthwise 3x3 convs behind an expanding 1x1, where the target makes them dear."""
    if not (options.min_map or context.target.number("early_depthwise_map")):
        return
    for node, op in neighbours.convs(context.graph):
        if op.depthwise and op.kernel == (3, 3) and max(op.dilation) == 1:
            row = _behind(context.graph, node)
            first = row[0].op if row else None
            if isinstance(first, ir.Conv) and first.out_channels > first.in_channels:
                side = min(context.graph.input_specs(node)[0].shape[2:])
                yield Early(node.id, tuple(one.id for one in row), first, op, side)


def _behind(graph: ModelGraph, node: Node) -> tuple[Node, ...]:
    """Return the 1x1 conv before ``node``, what lies between, and the node; or nothing."""
    row = [node]
    while True:
        before = graph[row[0].inputs[0].node]
        if len(graph.users(before)) != 1:
            return ()
        row.insert(0, before)
        if isinstance(before.op, ir.Conv):
            plain = before.op.taps == 1 and before.op.groups == 1 and max(before.op.stride) == 1
            return tuple(row) if plain else ()
        if not isinstance(before.op, neighbours.POINTWISE):
            return ()


def guard(context: Context, site: Early, options: EarlyDepthwiseOptions) -> Refusal | None:
    """Refuse small maps and computed kernels."""
    least = options.min_map or context.target.number("early_depthwise_map")
    if site.side < least:
        return Refusal(f"its map is {site.side} wide, told from {least:g}", site.nodes)
    if site.expand.computed_weight or site.depthwise.computed_weight:
        return Refusal("a kernel is computed, not a parameter", site.nodes)
    return None


def rewrite(context: Context, site: Early, _options: EarlyDepthwiseOptions) -> tuple[Rewrite, ...]:
    """Return the dense conv in the place of both; it claims nothing, for it costs MACs."""
    graph = context.graph
    first, last = graph[site.nodes[0]], graph[site.anchor]
    source = first.inputs[0]
    fused = drafting.draft_conv(last, "fused", _fused(site), source, graph.spec(source).shape)
    edit = GraphEdit(frozenset(site.nodes), (fused,), {Ref(last.id): Ref(fused.id)})
    return (Rewrite("one dense 3x3 for both", edit, claimed=False),)


def _fused(site: Early) -> ir.Conv:
    return msgspec.structs.replace(
        site.depthwise,
        in_channels=site.expand.in_channels,
        groups=1,
    )


def advise(
    context: Context, sites: tuple[Early, ...], options: EarlyDepthwiseOptions
) -> contract.Advice:
    """Word the finding by its dearest pair."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    graph = context.graph
    node = graph[site.anchor]
    now = sum(context.cost.macs_of(key) for key in site.nodes)
    more = -context.saves(rewrite(context, site, options)[0].edit).macs
    pairs = "pair" if len(sites) == 1 else "pairs"
    return contract.Advice(
        message=f"{len(sites)} {pairs} of expand 1x1 and depthwise 3x3, {site.expand.in_channels}->"
        f"{site.expand.out_channels} on {drafting.extent(graph.input_specs(node)[0].shape[2:])}: "
        f"bound by memory on {context.profile}; one dense 3x3 does {(now + more) / 1e6:.0f} in place of "
        f"{now / 1e6:.0f} MMACs and moves fewer bytes",
        instead=drafting.chain_code(node, _fused(site)),
        risk="another function, retrain; more MACs for what may be less time: measure it first",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL502",
        name="early-depthwise",
        summary="expand and depthwise layers on large maps, on a GPU",
        severity=Severity.INFO,
        exact=False,
        since="0.2.0",
        gated=False,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=EarlyDepthwiseOptions,
)
