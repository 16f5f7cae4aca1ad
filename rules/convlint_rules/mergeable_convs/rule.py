"""CL408 mergeable-convs: two linear layers in a row that are one.

What it does
------------
Finds a convolution whose only reader is another one, with nothing but batch norms between, where at
least one of the two has a single tap, and one layer for both is cheaper. Linear layers in a row too.

Why it costs
------------
Without an activation between, two products by constants are one: the middle tensor is computed,
written and read for nothing.

Example
-------
    x = self.expand(self.norm(self.project(x)))   # 1x1 16->16, norm, 1x1 16->72

Use instead
-----------
    x = self.merged(x)                            # 1x1 16->72

Savings
-------
MACs and weights of both layers minus those of one of them: (Cin*M + M*Cout - Cin*Cout) a position
for two 1x1 with M channels between.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
mobilenet_v3_small: 0.89, -, 0.96, 0.94.

When not to apply
-----------------
The same function; old checkpoints need the product of the weights (convlint apply makes it). A
narrow middle is a design that saves work (MobileNetV2, Xception, low-rank factors): silent where
one layer for both costs as much or more. Silent where the middle tensor or one of the layers is used
elsewhere too, for groups, and where a 1x1 with a bias or norm stands before a layer that pads with
zeros or is transposed: its shift does not reach the padding, so the borders would differ.

Already done by
---------------
Nobody of the runtimes looked at; Sony's MCT merges some of them.

Options
-------
None.

References
----------
Linearity of the convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.analysis.rescaling import has_own_weight, is_plain_batch_norm
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit, merge
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref

SUFFIX = "merged"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers in a row; ``norms`` are the batch norms between, ``nodes`` all that goes."""

    anchor: str
    nodes: tuple[str, ...]
    first: str
    second: str
    norms: tuple[str, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Pair]:
    """Yield pairs of convolutions, or of linear layers, with only batch norms between."""
    yield from _pairs(context.graph)


def _pairs(graph: ModelGraph) -> Iterator[Pair]:
    taken: set[str] = set()
    for node in graph:
        if not isinstance(node.op, (ir.Conv, ir.Linear)) or node.id in taken:
            continue
        row = _row(graph, node)
        if row and _fits(node.op, row[-1].op):
            norms = tuple(one.id for one in row if isinstance(one.op, ir.Norm))
            taken.add(row[-1].id)
            ids = (node.id, *(one.id for one in row))
            yield Pair(row[-1].id, ids, node.id, row[-1].id, norms)


def _row(graph: ModelGraph, node: Node) -> list[Node]:
    """Return what follows a layer alone up to the next layer of its kind; empty without one."""
    row: list[Node] = []
    last = node
    while True:
        user = neighbours.only_user(graph, last)
        if user is None or user.inputs[0] != Ref(last.id):
            return []
        row.append(user)
        if type(user.op) is type(node.op):
            return row
        channels_last = isinstance(node.op, ir.Linear) and len(node.output.shape) > 2
        plain = is_plain_batch_norm(user) and not channels_last
        copies = isinstance(user.op, ir.Identity) and user.output == last.output
        if not (plain or copies):
            return []
        last = user


def _fits(first: ir.AnyOp, second: ir.AnyOp) -> bool:
    """Tell pairs worth a look: one has a single tap."""
    if isinstance(first, ir.Conv) and isinstance(second, ir.Conv):
        return min(first.taps, second.taps) == 1
    return True


def guard(context: Context, site: Pair, _options: contract.Options) -> Refusal | None:
    """Refuse pairs that one layer does not equal, or that are cheaper as two."""
    graph = context.graph
    first, second = graph[site.first].op, graph[site.second].op
    if isinstance(first, ir.Conv) and isinstance(second, ir.Conv):
        reason = _conv_fault(first, second, bool(site.norms))
        if reason:
            return Refusal(reason, site.nodes)
    if not all(has_own_weight(graph[key]) for key in (site.first, site.second)):
        return Refusal("a weight is computed in forward", site.nodes)
    together = _together(graph, site)
    if isinstance(together, Node):
        where = together.module or together.id
        return Refusal(f"{where} is also called outside this pair", (together.id,))
    saved = context.saves(merge([_edit(graph, each) for each in together])[0])
    if saved.macs <= 0 or saved.params < 0:
        what = f"one layer saves {saved.macs} MACs and {saved.params} params: two are cheaper"
        return Refusal(what, site.nodes)
    return None


def _together(graph: ModelGraph, site: Pair) -> list[Pair] | Node:
    """Return this pair and others of the same layers, or a call of one that is in none of them."""
    used = _storages(graph, site)
    outside = [node for node in graph.holders(used) if node.id not in site.nodes]
    if not outside:
        return [site]
    alike = [each for each in _pairs(graph) if _key(graph, each) == _key(graph, site)]
    ends = {key for each in alike for key in each.nodes}
    return next((node for node in outside if node.id not in ends), alike)


def _storages(graph: ModelGraph, site: Pair) -> set[str]:
    return {param.storage for key in site.nodes for param in graph[key].params}


def _key(graph: ModelGraph, site: Pair) -> object:
    """Return what is equal for two pairs that one layer serves."""
    layers = (graph[key] for key in (site.first, *site.norms, site.second))
    return tuple((node.op, tuple(param.storage for param in node.params)) for node in layers)


def _conv_fault(first: ir.Conv, second: ir.Conv, normed: bool) -> str:
    """Return why two convolutions are not one, empty where they are."""
    if first.groups > 1 or second.groups > 1:
        return f"groups={first.groups} and groups={second.groups}"
    padded = any(side for sides in second.padding for side in sides)
    if second.taps == 1:
        if padded or (max(second.stride) > 1 and first.transposed):
            return "the second layer is padded, or skips what the first one spreads"
        if second.transposed and (max(second.stride) > 1 or any(second.output_padding)):
            return "the second layer spreads its input"
        return ""
    if max(first.stride) > 1 or any(side for sides in first.padding for side in sides):
        return "the first layer is strided or padded"
    if first.transposed:
        return "the first layer is transposed"
    if first.bias or normed:
        if padded and second.padding_mode == "zeros":
            return "a shift before a padded layer does not reach its padding"
        if second.transposed:
            return "a shift before a transposed layer does not meet all its taps everywhere"
    return ""


def rewrite(context: Context, site: Pair, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the one layer."""
    return (Rewrite("one layer", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Pair) -> GraphEdit:
    first, second = graph[site.first], graph[site.second]
    new = _conv(graph, site, first, second) or _linear(first, second, normed=bool(site.norms))
    return GraphEdit(frozenset(site.nodes), (new,), {Ref(second.id): Ref(new.id)})


def merged(first: ir.Conv, second: ir.Conv, *, normed: bool) -> ir.Conv:
    """Return the operation that does both: the geometry of the one with taps, joint channels."""
    bias = first.bias or second.bias or normed
    if second.taps == 1:
        stride = tuple(a * b for a, b in zip(first.stride, second.stride, strict=True))
        stride = first.stride if first.transposed else stride
        word = first.padding_word if max(second.stride) == 1 else ""
        return msgspec.structs.replace(
            first, out_channels=second.out_channels, stride=stride, bias=bias, padding_word=word
        )
    return msgspec.structs.replace(second, in_channels=first.in_channels, bias=bias)


def _conv(graph: ModelGraph, site: Pair, first: Node, second: Node) -> Node | None:
    if not isinstance(first.op, ir.Conv) or not isinstance(second.op, ir.Conv):
        return None
    op = merged(first.op, second.op, normed=bool(site.norms))
    source = first.inputs[0]
    return drafting.draft_conv(second, _suffix(first), op, source, graph.spec(source).shape)


def _suffix(first: Node) -> str:
    """Return a suffix that names the partner: a shared layer may have several."""
    weight = next((param.name for param in first.params if param.role == "weight"), first.id)
    return f"{SUFFIX}_{weight.replace('.', '_').replace('~', '_')}"


def _linear(first: Node, second: Node, *, normed: bool) -> Node:
    assert isinstance(first.op, ir.Linear)
    assert isinstance(second.op, ir.Linear)
    bias = first.op.bias or second.op.bias or normed
    op = ir.Linear(first.op.in_features, second.op.out_features, bias)
    shapes = {"weight": (op.out_features, op.in_features), "bias": (op.out_features,)}
    stem = next(param for param in second.params if param.role == "weight")
    suffix = _suffix(first)
    params = tuple(
        Param(
            f"{stem.name}.{suffix}.{role}",
            f"{stem.storage}~{suffix}.{role}",
            shape,
            stem.dtype,
            role,
        )
        for role, shape in shapes.items()
        if role == "weight" or bias
    )
    return msgspec.structs.replace(
        second, id=f"{second.id}~{suffix}", op=op, inputs=first.inputs[:1], params=params
    )


def advise(
    context: Context, sites: tuple[Pair, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest pair."""
    graph = context.graph
    site = max(sites, key=lambda site: context.cost.macs_of(site.first))
    first, second = graph[site.first], graph[site.second]
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)} pairs)"
    new = _edit(graph, site).added[0]
    between = "only a batch norm" if site.norms else "nothing"
    return contract.Advice(
        message=f"{first.module or _words(first)} -> {second.module or _words(second)}{among}: "
        f"{between} stands between {_words(first)} and {_words(second)}, so that one {_words(new)} "
        "does the same",
        instead=_code(new),
        risk="same function; old checkpoints need the product of the two weights, which convlint "
        "apply makes",
    )


def _words(node: Node) -> str:
    op = node.op
    if isinstance(op, ir.Conv):
        return f"{drafting.extent(op.kernel)} {drafting.channels(op)}"
    assert isinstance(op, ir.Linear)
    return f"Linear {op.in_features}->{op.out_features}"


def _code(node: Node) -> str:
    if isinstance(node.op, ir.Conv):
        return drafting.conv_code(node.op)
    assert isinstance(node.op, ir.Linear)
    more = "" if node.op.bias else ", bias=False"
    return f"nn.Linear({node.op.in_features}, {node.op.out_features}{more})"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL408",
        name="mergeable-convs",
        summary="two linear layers in a row that are one",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
        yields_to=("CL409",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.mergeable_convs.apply:weights",
)
