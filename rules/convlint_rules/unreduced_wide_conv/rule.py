"""CL302 unreduced-wide-conv: a wide dense 3x3 without a 1x1 that reduces its channels first.

What it does
------------
Finds dense convolutions of 3 taps or more on every axis with at least 256 input and output
channels, twice as many in as out, that no 1x1 convolution reduced before, holding at least 5 % of
the model's MACs.

Why it costs
------------
A 3x3 from C to C channels multiplies 9*C*C times a position. Between a 1x1 to C/4 and a 1x1 back
it is 1.06*C*C: the bottleneck of ResNet-50.

Example
-------
    self.conv = nn.Conv2d(2048, 512, 3, padding=1, bias=False)

Use instead
-----------
    self.conv = nn.Sequential(
        nn.Conv2d(2048, 128, 1, bias=False), nn.ReLU(),
        nn.Conv2d(128, 128, 3, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(128, 512, 1, bias=False),
    )

Savings
-------
Weights become m*(Cin + 9*m + Cout) of 9*Cin*Cout, with m a quarter of the narrower side: -95 %
for 2048 to 512.

When not to apply
-----------------
Another function: retrain. Silent behind a reducing 1x1 (the layer stands in a bottleneck
already), on maps of 7x7 and less (a classifier's last stage is cheap), on dilated layers (CL301
speaks of those: DeepLabv3+ kept its mIoU with separable ones), on grouped, transposed and
prediction layers.

Already done by
---------------
Nobody: it is another function.

Options
-------
min-share = 0.05: least share of the model's MACs that a layer holds.
min-channels = 256: least input and output channels.
min-ratio = 2: how many times more input channels than output channels.
reduction = 4: how many times narrower the middle is than the narrower side.

References
----------
ResNet, arXiv 1512.03385 (bottleneck); SqueezeNet, arXiv 1602.07360 (strategies 1 and 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import replace_node
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SMALL_MAP = 7


class UnreducedOptions(contract.Options, frozen=True):
    """Options of CL302."""

    min_share: float = 0.05
    min_channels: int = 256
    min_ratio: float = 2.0
    reduction: int = 4


@dataclass(frozen=True, slots=True)
class Wide:
    """A wide dense convolution."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    prediction: bool


def find(context: Context, options: UnreducedOptions) -> Iterator[Wide]:
    """Yield convs of 3 taps or more on every axis that lead from many channels to fewer."""
    predictions = neighbours.prediction_convs(context.graph)
    for node, op in neighbours.convs(context.graph):
        narrow = min(op.in_channels, op.out_channels)
        funnel = op.in_channels >= options.min_ratio * op.out_channels
        if min(op.kernel) >= 3 and narrow >= options.min_channels and funnel:
            yield Wide(node.id, (node.id,), op, node.id in predictions)


def guard(context: Context, site: Wide, options: UnreducedOptions) -> Refusal | None:
    """Refuse what stands in a bottleneck, is cheap or is no plain dense layer."""
    op, node = site.op, context.graph[site.anchor]
    share = context.cost.macs_of(site.anchor) / max(1, context.cost.macs)
    size = node.output.shape[2:]
    reasons = {
        f"groups={op.groups}: it is not dense": op.groups > 1,
        "it is transposed": op.transposed,
        "its kernel is computed, not a parameter": op.computed_weight,
        f"it is dilated: {drafting.extent(op.dilation)}": max(op.dilation) > 1,
        "it is the prediction layer": site.prediction,
        f"its map is {drafting.extent(size)}": max(size) <= SMALL_MAP,
        f"it holds {share:.1%} of the MACs, under {options.min_share:.0%}": share
        < options.min_share,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if reason is not None:
        return Refusal(reason, site.nodes)
    return _reduced(context.graph, node)


def _reduced(graph: ModelGraph, node: Node) -> Refusal | None:
    before = neighbours.layer_before(graph, node)
    if before is None or not isinstance(before.op, ir.Conv):
        return None
    if before.op.taps == 1 and before.op.out_channels < before.op.in_channels:
        what = f"a 1x1 reduces {drafting.channels(before.op)} before it"
        return Refusal(what, (node.id, before.id))
    return None


def rewrite(context: Context, site: Wide, options: UnreducedOptions) -> tuple[Rewrite, ...]:
    """Return the bottleneck that takes its place."""
    node = context.graph[site.anchor]
    ops = _bottleneck(site.op, options.reduction)
    made: list[Node] = []
    source, shape = node.inputs[0], context.graph.spec(node.inputs[0]).shape
    for name, op in zip(("reduce", "conv", "expand"), ops, strict=True):
        made.append(drafting.draft_conv(node, name, op, source, shape))
        source, shape = Ref(made[-1].id), made[-1].output.shape
    return (Rewrite(f"bottleneck of width {ops[1].in_channels}", replace_node(node, made)),)


def _bottleneck(op: ir.Conv, reduction: int) -> tuple[ir.Conv, ir.Conv, ir.Conv]:
    middle = max(1, min(op.in_channels, op.out_channels) // reduction)
    ones = (1,) * len(op.kernel)
    point = msgspec.structs.replace(
        op,
        kernel=ones,
        stride=ones,
        padding=((0, 0),) * len(ones),
        dilation=ones,
        padding_word="",
        padding_mode="zeros",
    )
    return (
        msgspec.structs.replace(point, out_channels=middle),
        msgspec.structs.replace(op, in_channels=middle, out_channels=middle),
        msgspec.structs.replace(point, in_channels=middle),
    )


def advise(context: Context, sites: tuple[Wide, ...], options: UnreducedOptions) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    node, op = context.graph[site.anchor], site.op
    ops = _bottleneck(op, options.reduction)
    share = context.cost.macs_of(site.anchor) / context.cost.macs
    kept = _weights(*ops) / _weights(op)
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)} calls)"
    return contract.Advice(
        message=f"dense {drafting.extent(op.kernel)} {drafting.channels(op)} at "
        f"{drafting.extent(node.output.shape[2:])}{among} holds {share:.1%} of the MACs (told from "
        f"{options.min_share:.0%}) with no 1x1 before it: through {ops[1].in_channels} channels it "
        f"needs {1 - kept:.0%} fewer",
        instead=drafting.chain_code(node, *ops, between="ReLU"),
        risk="another function, retrain: two more layers and activations, a narrower middle",
    )


def _weights(*ops: ir.Conv) -> int:
    return sum(op.in_channels * op.out_channels * op.taps for op in ops)


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL302",
        name="unreduced-wide-conv",
        summary="a wide dense conv without a 1x1 that reduces its channels first",
        severity=Severity.INFO,
        exact=False,
        since="0.2.0",
        yields_to=("CL101", "CL102", "CL408"),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=UnreducedOptions,
)
