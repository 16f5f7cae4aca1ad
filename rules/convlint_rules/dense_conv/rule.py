"""CL301 dense-conv: a dense k x k convolution that a depthwise one and a 1x1 could replace.

What it does
------------
Finds convolutions with groups=1 whose kernel is 3 or more on every axis, with at least 16
input and 16 output channels, that hold at least 2 % of the model's MACs.

Why it costs
------------
A dense kernel multiplies every input channel with every tap for every output channel. A
depthwise kernel looks at the taps, a 1x1 convolution mixes the channels: k*k + Cout products
per input value instead of k*k*Cout.

Example
-------
    self.conv = nn.Conv2d(128, 128, 3, padding=1, bias=False)

Use instead
-----------
    self.conv = nn.Sequential(
        nn.Conv2d(128, 128, 3, padding=1, groups=128, bias=False),
        nn.Conv2d(128, 128, 1, bias=False),
    )

Savings
-------
MACs and weights become 1/Cout + 1/taps of what they were: 11 to 13 % for a 3x3. One more
tensor of Cin channels is written.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
depthwise 3x3 + 1x1 for dense 3x3 64->64 at 56x56: 0.42, 0.45, 0.24, 0.47; depthwise 3x3 + 1x1 for
dense 3x3 512->512 at 7x7: 0.21, 0.17, 0.15, 0.30.

When not to apply
-----------------
Not the same function: retrain. MobileNetV1 (Table 4) went from 71.7 to 70.6 % top-1 as a
whole net; DeepLabv3+ (Table 5) kept its mIoU with 33 to 41 % fewer multiply-adds in ASPP and
decoder. Depthwise layers reach a small share of a GPU's peak, so early layers get slower there
(EfficientNetV2, Table 3): under the GPU profiles maps from 56x56 on are left alone. An info unless
the profile is cpu, arm or mcu; in 3-D nets an info everywhere. Silent on
stems, prediction layers, grouped and transposed convs, convs that already stand beside a
depthwise one, Fused-MBConv blocks and models under 5 MMACs.

Already done by
---------------
Nobody: it is another function.

Options
-------
min-share = 0.02: least share of the model's MACs that a layer holds.
min-channels = 16: least input and output channels.

References
----------
MobileNets, arXiv 1704.04861; Xception, arXiv 1610.02357; DeepLabv3+, arXiv 1802.02611;
EfficientNetV2, arXiv 2104.00298; FasterNet, arXiv 2303.03667 (Table 2).
"""

from __future__ import annotations

from collections import Counter
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

LEAST_MODEL_MACS = 5_000_000
STEM_CHANNELS = 4


class DenseConvOptions(contract.Options, frozen=True):
    """Options of CL301; shares are of the model's MACs."""

    min_share: float = 0.02
    min_channels: int = 16


@dataclass(frozen=True, slots=True)
class Dense:
    """A convolution with 3 taps or more on every axis; ``share`` of MACs over all its calls."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    share: float
    prediction: bool


def find(context: Context, _options: DenseConvOptions) -> Iterator[Dense]:
    """Yield every conv with at least 3 taps on each axis, depthwise ones left out."""
    if not context.cost.macs:
        return
    predictions = neighbours.prediction_convs(context.graph)
    by_layer: Counter[str] = Counter()
    for node, _ in neighbours.convs(context.graph):
        by_layer[drafting.layer_key(node)] += context.cost.macs_of(node.id)
    for node, op in neighbours.convs(context.graph):
        if min(op.kernel) >= 3 and not op.depthwise:
            share = by_layer[drafting.layer_key(node)] / context.cost.macs
            yield Dense(node.id, (node.id,), op, share, node.id in predictions)


def guard(context: Context, site: Dense, options: DenseConvOptions) -> Refusal | None:
    """Refuse what is no dense layer worth factoring, the first reason that holds."""
    graph, op = context.graph, site.op
    node = graph[site.anchor]
    least = options.min_channels
    reasons = {
        f"groups={op.groups}: it is not dense": op.groups > 1,
        "it is transposed": op.transposed,
        "its kernel is computed, not a parameter": op.computed_weight,
        f"it is a stem: {op.in_channels} input channels": op.in_channels <= STEM_CHANNELS,
        f"{drafting.channels(op)} channels, under {least}": _narrowest(op) < least,
        f"the model has {context.cost.macs / 1e6:.1f} MMACs, under 5": context.cost.macs
        < LEAST_MODEL_MACS,
        f"it holds {site.share:.1%} of the MACs, under {options.min_share:.1%}": site.share
        < options.min_share,
        "it is the prediction layer": site.prediction,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    reason = reason or _early(context, node)
    if reason:
        return Refusal(reason, site.nodes)
    return _beside_depthwise(graph, node) or _fused_mbconv(graph, node, op)


def _early(context: Context, node: Node) -> str:
    """Say that the map is one on which the target's depthwise layers are dear, "" elsewhere."""
    size, least = node.output.shape[2:], context.target.number("early_depthwise_map")
    if not least or len(size) != 2 or min(size) < least:
        return ""
    return (
        f"its map is {drafting.extent(size)}: from {least:g}x{least:g} on, depthwise layers are "
        f"dear on {context.profile}"
    )


def _narrowest(op: ir.Conv) -> int:
    return min(op.in_channels, op.out_channels)


def _beside_depthwise(graph: ModelGraph, node: Node) -> Refusal | None:
    before = neighbours.layer_before(graph, node)
    around = (*((before,) if before else ()), *neighbours.layers_after(graph, node))
    for other in around:
        if isinstance(other.op, ir.Conv) and other.op.depthwise:
            return Refusal("a depthwise conv stands beside it", (node.id, other.id))
    return None


def _fused_mbconv(graph: ModelGraph, node: Node, op: ir.Conv) -> Refusal | None:
    """Refuse an expanding conv that a linear 1x1 projects back, and one like it that expands by 1."""
    project = _projection(graph, node, op)
    if project is not None and _expands(op, project):
        return Refusal("it expands for a linear 1x1: Fused-MBConv", (node.id, project.id))
    alone = op.in_channels == op.out_channels and (project or _is_residual(graph, node))
    if not alone:
        return None
    for other, wide in neighbours.convs(graph):
        found = _projection(graph, other, wide) if min(wide.kernel) >= 3 else None
        if found is not None and _expands(wide, found):
            reason = "it is a block of its own beside Fused-MBConv blocks: one that expands by 1"
            return Refusal(reason, (node.id, other.id))
    return None


def _expands(op: ir.Conv, project: Node) -> bool:
    """Tell a conv with more output channels than what comes before and after it."""
    back = project.op.out_channels if isinstance(project.op, ir.Conv) else 0
    return op.groups == 1 and op.out_channels > max(op.in_channels, back)


def _projection(graph: ModelGraph, node: Node, op: ir.Conv) -> Node | None:
    """Return the linear 1x1 inside the model that follows a conv, None where there is none.

    Looks through gates, and through the pooling or fixed filter that blurs before it strides.
    """
    pending = list(neighbours.layers_after(graph, node, _TO_PROJECTION))
    while pending:
        other = pending.pop(0)
        project = other.op
        if not isinstance(project, ir.Conv) or project.in_channels != op.out_channels:
            continue
        if project.depthwise and all(param.buffer for param in other.params):
            pending += neighbours.layers_after(graph, other, _TO_PROJECTION)
        elif project.taps == 1 and project.groups == 1 and _is_linear_inside(graph, other):
            return other
    return None


_TO_PROJECTION = (*neighbours.POINTWISE, ir.Mul, ir.Pool, ir.Pad)


def _is_linear_inside(graph: ModelGraph, node: Node) -> bool:
    last = node.id in neighbours.last_layers(graph)
    return not last and neighbours.activation_after(graph, node) is None


def _is_residual(graph: ModelGraph, node: Node) -> bool:
    """Tell a conv whose result, normed and activated, is added to what it reads."""
    source = node.inputs[0]
    return any(
        isinstance(user.op, ir.Add) and source in user.inputs
        for user in neighbours.layers_after(graph, node)
    )


def rewrite(context: Context, site: Dense, _options: DenseConvOptions) -> tuple[Rewrite, ...]:
    """Return the depthwise conv and the 1x1 that take its place, biases as they were."""
    node = context.graph[site.anchor]
    depthwise, pointwise = _halves(site.op)
    source = node.inputs[0]
    first = drafting.draft_conv(node, "dw", depthwise, source, context.graph.spec(source).shape)
    second = drafting.draft_conv(node, "pw", pointwise, Ref(first.id), first.output.shape)
    label = f"depthwise {drafting.extent(site.op.kernel)} + {drafting.extent(pointwise.kernel)}"
    return (Rewrite(label, replace_node(node, (first, second))),)


def _halves(op: ir.Conv) -> tuple[ir.Conv, ir.Conv]:
    ones = (1,) * len(op.kernel)
    depthwise = msgspec.structs.replace(op, out_channels=op.in_channels, groups=op.in_channels)
    pointwise = ir.Conv(
        in_channels=op.in_channels,
        out_channels=op.out_channels,
        kernel=ones,
        stride=ones,
        padding=((0, 0),) * len(ones),
        dilation=ones,
        bias=op.bias,
    )
    return depthwise, pointwise


def advise(
    context: Context, sites: tuple[Dense, ...], options: DenseConvOptions
) -> contract.Advice:
    """Word the finding by its largest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    op, node = site.op, context.graph[site.anchor]
    kernel = drafting.extent(op.kernel)
    macs = sum(context.cost.macs_of(site.anchor) for site in sites) / context.cost.macs
    less = op.taps * op.out_channels / (op.taps + op.out_channels)
    depthwise, pointwise = _halves(op)
    return contract.Advice(
        message=f"{_layers(context, sites, site)} {macs:.1%} of the MACs (told from "
        f"{options.min_share:.0%}); depthwise "
        f"{kernel} + {drafting.extent(pointwise.kernel)} needs {less:.1f}x fewer",
        instead=drafting.chain_code(node, depthwise, pointwise),
        risk=RISK,
        severity=Severity.INFO if all(len(site.op.kernel) > 2 for site in sites) else None,
    )


def _layers(context: Context, sites: tuple[Dense, ...], largest: Dense) -> str:
    op, size = largest.op, drafting.extent(context.graph[largest.anchor].output.shape[2:])
    layer = f"{drafting.extent(op.kernel)} {drafting.channels(op)} at {size}"
    nodes = [context.graph[site.anchor] for site in sites]
    convs = drafting.counted(nodes, "dense conv")
    if len(sites) == 1:
        return f"dense {layer} holds"
    if convs.startswith("1 "):
        return f"{convs}, {layer}, holds"
    return f"{convs}, the largest {layer}, hold"


RISK = (
    "not the same function, retrain: MobileNetV1 lost 1.1 points of top-1 as a whole net "
    "(Table 4); one more tensor is written, and depthwise layers reach a small share of a "
    "GPU's peak"
)

RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL301",
        name="dense-conv",
        summary="a dense conv that a depthwise conv and a 1x1 could replace",
        severity=Severity.INFO,
        exact=False,
        since="0.1.0",
        yields_to=("CL101", "CL102", "CL302", "CL408"),
        severity_by_profile=dict.fromkeys(("cpu", "arm", "mcu"), Severity.WARNING),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=DenseConvOptions,
)
