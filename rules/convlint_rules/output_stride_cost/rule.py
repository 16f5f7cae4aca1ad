"""CL604 output-stride-cost: stages that keep their resolution by dilation.

What it does
------------
Finds stages whose convolutions are dilated so that the map need not shrink, as in backbones for
segmentation with an output stride of 8 or 16, where they hold at least 20 % of the model's MACs.

Why it costs
------------
A stage at twice the resolution does four times the work. ResNet-50 at 520x520 takes 22.6 GMACs
with its strides, 34.2 with the last one dilated (output stride 16), 102.8 with the last two (8).

Example
-------
    torchvision.models.segmentation.deeplabv3_resnet50()   # output stride 8

Use instead
-----------
    resnet50(replace_stride_with_dilation=[False, False, True])   # output stride 16

Savings
-------
None promised. With its stride a stage costs a quarter for each doubling of its dilation.

When not to apply
-----------------
Another function: retrain. DeepLabv3 (Table 1) lost 1.3 points of mIoU from output stride 8 to 16
and 3.8 more to 32; trained at 16 and run at 8 it gained 1.4 (Table 4). Parallel rates (ASPP) are
no stages and are not counted.

Already done by
---------------
Nobody: it is another function.

Options
-------
min-share = 0.20: least share of the model's MACs that such stages hold.

References
----------
Chen et al., Rethinking Atrous Convolution, arXiv 1706.05587 (Tables 1 and 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

_LEAST_CONVS = 2


class OutputStrideOptions(contract.Options, frozen=True):
    """Options of CL604."""

    min_share: float = 0.20


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything at one resolution from the first dilated conv on; ``rate`` is its dilation.

    ``stride`` is input size over map size. ``share`` is that of the MACs of all dilated stages.
    """

    anchor: str
    nodes: tuple[str, ...]
    rate: int
    stride: int
    share: float


def find(context: Context, _options: OutputStrideOptions) -> Iterator[Stage]:
    """Yield one stage for each dilation of convs that stand in a row on one map."""
    graph = context.graph
    inputs = [max(node.output.shape[2:], default=0) for node in graph.model_inputs]
    parallel = _parallel(graph)
    rates: dict[int, list[Node]] = {}
    for node, op in neighbours.convs(graph):
        spread = (
            op.taps > 1 and max(op.dilation) > 1 and max(op.stride) == 1 and len(op.kernel) == 2
        )
        if spread and not op.transposed and node.id not in parallel:
            rates.setdefault(max(op.dilation), []).append(node)
    stages = {rate: nodes for rate, nodes in rates.items() if len(nodes) >= _LEAST_CONVS}
    rows = {rate: _stage_nodes(graph, nodes) for rate, nodes in stages.items()}
    macs = sum(context.cost.macs_of(node.id) for row in rows.values() for node in row)
    for rate, nodes in stages.items():
        size = max(nodes[0].output.shape[2:])
        stride = round(max(inputs, default=0) / max(1, size))
        ids = tuple(node.id for node in nodes)
        yield Stage(ids[0], ids, rate, stride, macs / max(1, context.cost.macs))


def _stage_nodes(graph: ModelGraph, convs: list[Node]) -> list[Node]:
    """Return the layers between the first and the last conv of a stage, in execution order."""
    first, last = graph.order[convs[0].id], graph.order[convs[-1].id]
    size = convs[0].output.shape[2:]
    between = graph.nodes[first : last + 1]
    return [
        node for node in between if isinstance(node.op, ir.Conv) and node.output.shape[2:] == size
    ]


def _parallel(graph: ModelGraph) -> frozenset[str]:
    """Return convs of several taps that read the same tensor as another: rates side by side."""
    readers: dict[object, list[str]] = {}
    for node, op in neighbours.convs(graph):
        if op.taps > 1:
            readers.setdefault(node.inputs[0], []).append(node.id)
    return frozenset(key for ids in readers.values() if len(ids) > 1 for key in ids)


def guard(_context: Context, site: Stage, options: OutputStrideOptions) -> Refusal | None:
    """Refuse stages that hold little, and maps that are no smaller than the input."""
    if site.stride < 4:
        return Refusal(f"its output stride is {site.stride}: not a backbone's stage", site.nodes)
    if site.share < options.min_share:
        what = f"dilated stages hold {site.share:.0%} of the MACs, under {options.min_share:.0%}"
        return Refusal(what, site.nodes)
    return None


def rewrite(_context: Context, _site: Stage, _options: OutputStrideOptions) -> tuple[Rewrite, ...]:
    """Return no rewrite: the head's rates would have to change with it."""
    return ()


def advise(
    context: Context, sites: tuple[Stage, ...], options: OutputStrideOptions
) -> contract.Advice:
    """Word the finding by its stage of the largest dilation."""
    site = max(sites, key=lambda site: site.rate)
    rates = sorted({one.rate for one in sites})
    node = context.graph[site.anchor]
    told = " and ".join(map(str, rates))
    wider = site.stride * 2
    return contract.Advice(
        message=f"stages dilated by {told} keep output stride {site.stride} at "
        f"{drafting.extent(node.output.shape[2:])} and hold {site.share:.0%} of the MACs (told from "
        f"{options.min_share:.0%}): with a stride for the last of them (output stride {wider}) it costs "
        "a quarter",
        instead="replace_stride_with_dilation=[False, False, True]  # or none: nn.Conv2d(…, stride=2)",
        risk="another function, retrain: DeepLabv3 lost 1.3 points of mIoU from output stride 8 to "
        "16, and 3.8 more to 32",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL604",
        name="output-stride-cost",
        summary="stages that keep their resolution by dilation",
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
    options=OutputStrideOptions,
)
