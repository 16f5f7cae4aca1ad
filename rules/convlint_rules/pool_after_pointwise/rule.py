"""CL401 pool-after-pointwise: a 1x1 convolution whose result is averaged right after it.

What it does
------------
Finds 1x1 convolutions (stride 1, no padding, any groups) that an average follows: an average
pool, an adaptive one, a mean over spatial axes, a downsampling interpolation. Dropout and batch
norms may stand between. Linear layers whose result is averaged over other axes count as well.

Why it costs
------------
The convolution mixes channels at one position, the average mixes positions of one channel; both
are linear, so their order is free. Before the average there are more positions to convolve:
four times as many for 2x2, all of the map for a global average.

Example
-------
    transition = nn.Sequential(nn.Conv2d(256, 128, 1, bias=False), nn.AvgPool2d(2))

Use instead
-----------
    transition = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(256, 128, 1, bias=False))

Savings
-------
Of the convolution's MACs the share of positions that the average drops: 75 % for 2x2. No
parameters. Bytes move less where the output channels are more than the input channels times the
share of positions that is kept.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
densenet121: 0.99, -, 0.92, 0.93; densenet121's first transition: 0.93, 0.65, 0.61, 0.68.

When not to apply
-----------------
Silent where an activation stands between (it is not linear), unless the downsampling is nearest
neighbour, which only picks values; where the convolution's result has other readers; after max
pooling; where a bias or a norm meets an average that does not keep constants: padding that counts
as zeros, a divisor_override, a sum (errors of 0.22 and 0.13 of the scale in tests). Silent also
where so many more channels are pooled than before that less than min-macs-per-byte MACs are saved
for each byte that is moved more.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, onnxoptimizer, onnxscript, OnnxSlim, ncnn, TVM, XLA,
Inductor, OpenVINO, coremltools).

Options
-------
min-macs-per-byte = 4.0: MACs saved for each byte that is moved more.

References
----------
Linearity of both; the transitions of DenseNet (arXiv 1608.06993, section 3); jiequancui/ResLT
issue 9 moves its 1x1 convs behind the average pool at test time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from convlint_rules.pool_after_pointwise import averages
from convlint_rules.pool_after_pointwise.averages import Average

from convlint import contract
from convlint.analysis import drafting, mixers, pointwise
from convlint.analysis.pointwise import Chain
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "swap"


class PoolAfterPointwiseOptions(contract.Options, frozen=True):
    """Options of CL401."""

    min_macs_per_byte: float = 4.0


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pointwise layer, what stands after it, and the average of the result."""

    anchor: str
    nodes: tuple[str, ...]
    chain: Chain
    average: Average


def find(context: Context, _options: PoolAfterPointwiseOptions) -> Iterator[Pooled]:
    """Yield averages of what a pointwise layer computed."""
    graph = context.graph
    found = [site for node in graph if (site := _site(graph, node)) is not None]
    yield from sorted(found, key=lambda site: graph.order[site.anchor])


def _site(graph: ModelGraph, node: Node) -> Pooled | None:
    for average in (averages.over_positions(graph, node), averages.over_rows(graph, node)):
        if average is None:
            continue
        chain = pointwise.chain_before(graph, average.reads)
        layer = graph[chain.source.node]
        if isinstance(layer.op, ir.Linear):
            normed = any(pointwise.is_plain_norm(each) for each in chain.nodes)
            fits = not average.kept and not normed
        else:
            fits = bool(average.kept) and pointwise.is_pointwise(layer.op)
        if fits:
            between = () if average.flattened is None else (average.flattened.id,)
            nodes = (layer.id, *chain.ids, *between, node.id)
            return Pooled(layer.id, nodes, chain, average)
    return None


def guard(context: Context, site: Pooled, options: PoolAfterPointwiseOptions) -> Refusal | None:
    """Refuse orders that are not the same function, and those that would not pay."""
    graph = context.graph
    layer, bend = graph[site.anchor], site.chain.bend()
    tapped = [key for key in site.nodes[:-1] if len(graph.users(graph[key])) > 1]
    if tapped:
        return Refusal("its result has other readers", tuple(tapped))
    if bend is not None and not site.average.selects:
        return Refusal(f"{_word(bend)} stands between", (bend.id,))
    assert isinstance(layer.op, (ir.Conv, ir.Linear))
    if layer.op.computed_weight:
        return Refusal("its weight is computed in forward", (layer.id,))
    shift = site.chain.shift()
    trouble = averages.shift_trouble(site.average.node.op)
    if trouble is not None and (layer.op.bias or shift is not None):
        what = "its bias" if layer.op.bias else f"the {shift.kind if shift else ''}"
        return Refusal(f"{what} is another one after the average: {trouble}", site.nodes)
    why = pointwise.loss(context.saves(_edit(graph, site)), options.min_macs_per_byte)
    return None if why is None else Refusal(why, site.nodes)


def _word(node: Node) -> str:
    return node.op.fn if isinstance(node.op, (ir.Activation, ir.Elementwise)) else node.kind


def rewrite(
    context: Context, site: Pooled, _options: PoolAfterPointwiseOptions
) -> tuple[Rewrite, ...]:
    """Return the average first and the layer after it, with the weights it has."""
    return (Rewrite("averaged first", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Pooled) -> GraphEdit:
    node, layer = site.average.node, graph[site.anchor]
    source = layer.inputs[0]
    before = graph.spec(source).shape
    if isinstance(layer.op, ir.Linear):
        shape = node.output.shape
        first = pointwise.moved(node, SUFFIX, source, (*shape[:-1], before[-1]))
    else:
        shape = (*layer.output.shape[:2], *site.average.kept)
        first = _first(site.average, source, (*before[:2], *site.average.kept))
    late = pointwise.moved(layer, SUFFIX, Ref(first.id), shape)
    after = pointwise.move_chain(site.chain.nodes, SUFFIX, Ref(late.id), shape)
    added = [first, late, *after]
    if shape != node.output.shape:
        flat = drafting.draft(node, "flat", ir.Reshape(), Ref(added[-1].id), node.output)
        added.append(flat)
    return GraphEdit(frozenset(site.nodes), tuple(added), {Ref(node.id): Ref(added[-1].id)})


def _first(average: Average, source: Ref, shape: ir.Ints) -> Node:
    """Return the average of the layer's input; a mean keeps the axes that the layer needs."""
    made = pointwise.moved(average.node, SUFFIX, source, shape)
    op = average.node.op
    if not isinstance(op, ir.Reduce):
        return made
    axes = tuple(range(2, len(shape))) if average.flattened is not None else op.axes
    return msgspec.structs.replace(made, op=ir.Reduce(op.fn, axes, True))


def advise(
    context: Context, sites: tuple[Pooled, ...], _options: PoolAfterPointwiseOptions
) -> contract.Advice:
    """Word the finding by its dearest layer."""
    graph = context.graph
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    layer, node = graph[site.anchor], site.average.node
    spec = graph.spec(site.average.reads)
    linear = isinstance(layer.op, ir.Linear)
    sizes = spec.shape[:-1] if linear else spec.shape[2:]
    left = node.output.shape[:-1] if linear else site.average.kept
    before, after = math.prod(sizes), math.prod(left)
    layers = len({each.anchor for each in sites})
    among = "" if layers == 1 else f" (the largest of {layers})"
    return contract.Advice(
        message=f"{mixers.words(layer)} runs on {drafting.extent(sizes)}, then "
        f"{averages.words(site.average)} keeps {drafting.extent(left) or '1'}{among}: "
        f"averaged first, it runs on {after} position{'' if after == 1 else 's'} in place of "
        f"{before}, and the result is the same",
        instead=_code(graph, site),
        risk="same function; the weights stay as they are (in an nn.Sequential the numbers in "
        "their keys change)",
    )


def _code(graph: ModelGraph, site: Pooled) -> str:
    layer, node = graph[site.anchor], site.average.node
    if isinstance(layer.op, ir.Linear):
        assert isinstance(node.op, ir.Reduce)
        keep = ", keepdim=True" if node.op.keepdim else ""
        lines = [f"x = x.{node.op.fn}({node.op.axes}{keep})"]
    else:
        code = averages.code(site.average)
        lines = [f"x = pool(x)  # {code}" if code.startswith("nn.") else f"x = {code}"]
    name = "fc" if isinstance(layer.op, ir.Linear) else "conv"
    lines.append(f"x = {name}(x)  # {mixers.code(layer)}")
    if site.chain.nodes:
        lines.append("# then what stood between, as it was")
    if not isinstance(layer.op, ir.Linear) and len(node.output.shape) == 2:
        lines.append("x = x.flatten(1)")
    return "\n".join(lines)


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL401",
        name="pool-after-pointwise",
        summary="a 1x1 convolution whose result is averaged: average first",
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
    options=PoolAfterPointwiseOptions,
)
