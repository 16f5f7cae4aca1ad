"""CL406 bias-before-norm: a bias that the norm right after it takes out again.

What it does
------------
Finds convolutions and linear layers with a bias whose only reader is a batch norm or an instance
norm over their channels, or a group norm with one channel a group.

Why it costs
------------
The norm subtracts each channel's mean, and a constant added to the whole channel is in that
mean. What is left is a parameter a channel that changes nothing, with a gradient that is 0, and
an addition over the map.

Example
-------
    self.conv = nn.Conv2d(64, 128, 3, padding=1)
    self.norm = nn.BatchNorm2d(128)

Use instead
-----------
    self.conv = nn.Conv2d(64, 128, 3, padding=1, bias=False)
    self.norm = nn.BatchNorm2d(128)

    old["norm.running_mean"] -= old.pop("conv.bias")  # once, for old checkpoints

Savings
-------
One parameter a channel, one addition an element. No MACs.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
vgg11_bn's features: 0.99, 1.00, 1.00, 1.00.

When not to apply
-----------------
Left alone where anything but dropout or a change of shape stands between, where others read the
layer's result too, where the layer or the norm is also called in another place that is not such
a pair, and before layer norms and group norms with several channels a group: their mean is one
over all these channels, and a bias of its own for each of them stays (0.29 of the scale in a
test).

Already done by
---------------
Runtimes that fold the norm into the layer keep one bias of the two.

Options
-------
None.

References
----------
PyTorch Performance Tuning Guide, "Disable bias for convolutions directly followed by a batch
norm".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, mixers, rescaling
from convlint.contract import ArgumentEdit, Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref

SUFFIX = "unbiased"


@dataclass(frozen=True, slots=True)
class Biased:
    """A layer with a bias and the norm after it; ``axis`` is where the norm's channels lie in it."""

    anchor: str
    nodes: tuple[str, ...]
    norm: str
    axis: int | None


def find(context: Context, _options: contract.Options) -> Iterator[Biased]:
    """Yield the layers with a bias right before a norm, in the order of the norms."""
    yield from _pairs(context.graph)


def _pairs(graph: ModelGraph) -> Iterator[Biased]:
    for norm in graph:
        if not isinstance(norm.op, ir.Norm) or norm.op.type in ("rms", "local_response"):
            continue
        way = rescaling.way_back(graph, norm.inputs[0], 1, lambda node: _moves(graph, node))
        if way is None or not isinstance(way.end.op, (ir.Conv, ir.Linear)) or not way.end.op.bias:
            continue
        between = tuple(node.id for node in way.between)
        yield Biased(way.end.id, (way.end.id, *between, norm.id), norm.id, way.axis)


def _moves(graph: ModelGraph, node: Node) -> bool:
    return rescaling.is_copy(graph, node) or isinstance(node.op, (ir.Reshape, ir.Permute))


def guard(context: Context, site: Biased, _options: contract.Options) -> Refusal | None:
    """Refuse norms that do not take the bias out, and what others need."""
    return _unfit(context.graph, site) or _shared(context.graph, site)


def _unfit(graph: ModelGraph, site: Biased) -> Refusal | None:
    layer, norm = graph[site.anchor], graph[site.norm]
    for key, reader in zip(site.nodes, site.nodes[1:], strict=False):
        others = [user.id for user in graph.users(graph[key]) if user.id != reader]
        if others:
            where = graph[key].module or key
            return Refusal(f"others read the result of {where} too", tuple(others))
    kept = _why_it_stays(norm, site, rescaling.channel_axis(layer))
    if kept:
        return Refusal(kept, (norm.id,))
    roles = {param.role for param in layer.params}
    if len(layer.inputs) > 1 or roles != {"weight", "bias"}:
        return Refusal("its weight or bias is computed in forward", (layer.id,))
    return None


def _why_it_stays(norm: Node, site: Biased, axis: int | None) -> str:
    op, channels = norm.op, norm.output.shape[1] if len(norm.output.shape) > 1 else 0
    assert isinstance(op, ir.Norm)
    if op.type == "layer" and (1 in op.axes or site.axis != axis):
        return "a layer norm takes one mean over all channels, and the bias stays"
    if op.type == "group" and op.groups != channels:
        each = channels // op.groups
        return f"a group norm takes one mean over {each} channels, and the bias stays"
    if site.axis != axis:
        return "the norm's channels are not those of the layer"
    if op.running_stats and op.type in ("batch", "instance") and _mean(norm) is None:
        return "the norm's statistics are computed in forward"
    return ""


def _mean(norm: Node) -> Param | None:
    """Return the running mean of a norm with stored statistics."""
    return next((param for param in norm.params if param.role == "running_mean"), None)


def _stored(norm: Node) -> Param | None:
    """Return the mean that the norm subtracts, None where it computes it from its input."""
    op = norm.op
    fixed = isinstance(op, ir.Norm) and op.type in ("batch", "instance") and op.running_stats
    return _mean(norm) if fixed else None


def _shared(graph: ModelGraph, site: Biased) -> Refusal | None:
    """Refuse a layer or a norm with calls that are no such pair of the two."""
    mean, ends = _stored(graph[site.norm]), {site.anchor, site.norm}
    tied = {param.storage for param in graph[site.anchor].params}
    tied |= set() if mean is None else {mean.storage}
    users = graph.holders(tied)
    if {node.id for node in users} <= ends:
        return None
    alike = [pair for pair in _pairs(graph) if _key(graph, pair) == _key(graph, site)]
    ends |= {k for pair in alike if not _unfit(graph, pair) for k in (pair.anchor, pair.norm)}
    for node in users:
        if node.id not in ends:
            how = "on another layer" if isinstance(node.op, ir.Norm) else "without this norm"
            return Refusal(f"{node.module or node.id} is also called {how}", (node.id,))
    return None


def _key(graph: ModelGraph, site: Biased) -> object:
    mean = _stored(graph[site.norm])
    return tuple(param.storage for param in graph[site.anchor].params), mean and mean.storage


def rewrite(context: Context, site: Biased, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the layer without bias, and the norm with its mean less by it."""
    return (Rewrite("without the bias", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Biased) -> GraphEdit:
    layer, norm = graph[site.anchor], graph[site.norm]
    assert isinstance(layer.op, (ir.Conv, ir.Linear))
    weights = tuple(param for param in layer.params if param.role == "weight")
    bare = msgspec.structs.replace(
        layer,
        id=f"{layer.id}~{SUFFIX}",
        op=msgspec.structs.replace(layer.op, bias=False),
        params=weights,
    )
    mean = _stored(norm)
    if mean is None:
        return GraphEdit(frozenset({layer.id}), (bare,), {Ref(layer.id): Ref(bare.id)})
    shifted = _shifted(norm, mean, layer)
    redirect = {Ref(layer.id): Ref(bare.id), Ref(norm.id): Ref(shifted.id)}
    return GraphEdit(frozenset({layer.id, norm.id}), (bare, shifted), redirect)


def _shifted(norm: Node, mean: Param, layer: Node) -> Node:
    """Return the norm with a new mean, as a batch norm, which an instance norm with stored ones is."""
    assert isinstance(norm.op, ir.Norm)
    bias = next(param for param in layer.params if param.role == "bias")
    new = msgspec.structs.replace(
        mean, name=f"{mean.name}.{SUFFIX}", storage=f"{mean.storage}~{bias.storage}.{SUFFIX}"
    )
    return msgspec.structs.replace(
        norm,
        id=f"{norm.id}~{SUFFIX}",
        op=msgspec.structs.replace(norm.op, type="batch"),
        params=tuple(new if param is mean else param for param in norm.params),
    )


def advise(
    context: Context, sites: tuple[Biased, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its widest layer."""
    graph = context.graph
    site = max(sites, key=lambda site: rescaling.out_channels(graph[site.anchor]))
    layer, norm = graph[site.anchor], graph[site.norm]
    assert isinstance(layer.op, (ir.Conv, ir.Linear))
    layers = [graph[one.anchor] for one in sites]
    total = sum({drafting.layer_key(n): rescaling.out_channels(n) for n in layers}.values())
    many = "" if len(sites) == 1 else f", the widest of {drafting.counted(layers, 'layer')}"
    bare = _edit(graph, site).added[0]
    stored = _stored(norm)
    drop = f'old.pop("{layer.params[-1].name}")'
    move = f'old["{stored.name}"] -= {drop}' if stored else drop
    return contract.Advice(
        message=f"{mixers.words(layer)} adds a bias{many}, and the {_name(norm)} after it subtracts "
        f"each channel's mean, the bias with it: {total:,} parameters that change nothing",
        instead=f"{mixers.code(bare)}\n# old checkpoints, once:\n{move}",
        risk=f"same function, {_training(graph, site)}; old checkpoints have one key more, and load "
        "with the line above",
        fix=() if drafting.is_functional(layer) else (ArgumentEdit("bias", "False"),),
    )


def _training(graph: ModelGraph, site: Biased) -> str:
    between = (graph[key].op for key in site.nodes[1:-1])
    dropped = any(isinstance(op, ir.Identity) and "dropout" in op.fn for op in between)
    return "in eval mode: dropout lies between" if dropped else "also in training"


def _name(norm: Node) -> str:
    assert isinstance(norm.op, ir.Norm)
    return f"{norm.op.type} norm"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL406",
        name="bias-before-norm",
        summary="a bias that the norm right after it takes out again",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
        gated=False,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.bias_before_norm.apply:weights",
)
