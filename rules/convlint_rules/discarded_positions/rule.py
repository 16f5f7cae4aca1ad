"""CL407 discarded-positions: positions computed that every reader skips.

What it does
------------
Finds layers whose results are only read one position in s along every axis: by 1x1 convolutions of
stride s, slices ::s, pools of one tap, nearest downsampling by s. What stands before them pointwise
(activations, norms, sums, concatenations, 1x1 convolutions) and the first convolution of several
taps can run on the read positions alone.

Why it costs
------------
With stride 2 in a following 1x1, three of four positions are computed for nobody. The original
ResNet-50 strides in the first 1x1 of a stage, so that the last block of each stage before it does
four times the work it has to.

Example
-------
    x = relu(x + norm(conv(y)))          # on 56x56
    x = self.next(x)                     # nn.Conv2d(256, 128, 1, stride=2)

Use instead
-----------
    x = relu(x[:, :, ::2, ::2] + norm(conv(y)))   # the 3x3 before conv has stride 2
    x = self.next(x)                              # nn.Conv2d(256, 128, 1)

Savings
-------
MACs and bytes of the layers that move times 1 - 1/s^2.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
two ResNet blocks with the stride in the first 1x1: 0.62, 0.78, 0.79, 0.97.

When not to apply
-----------------
The same function, and the weights stay as they are. Silent where the map is returned or tapped
(feature pyramids), where something needs all positions (global pooling, squeeze-and-excite,
attention), where readers start at other positions, and where a term is broadcast along some of the
axes only. A convolution whose weight is computed in each call (weight_norm) keeps its stride.

Already done by
---------------
OpenVINO (StridesOptimization).

Options
-------
None.

References
----------
He et al., arXiv 1512.03385 (the strides of ResNet-50); OpenVINO, StridesOptimization.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint_rules.discarded_positions import lattice
from convlint_rules.discarded_positions.lattice import Region

from convlint import contract
from convlint.analysis import drafting
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node


@dataclass(frozen=True, slots=True)
class Skipped:
    """A region of layers and the readers that skip positions; the anchor is its dearest layer."""

    anchor: str
    nodes: tuple[str, ...]
    region: Region


def find(context: Context, _options: contract.Options) -> Iterator[Skipped]:
    """Yield the regions that are only read on a lattice, those with a layer in them."""
    for region in lattice.regions(context.graph):
        inner = [context.graph[key] for key in region.inner]
        layers = [node for node in inner if isinstance(node.op, ir.Conv)]
        anchor = max(layers or inner, key=lambda node: context.cost.macs_of(node.id))
        yield Skipped(anchor.id, (*region.inner, *region.readers), region)


def guard(context: Context, site: Skipped, _options: contract.Options) -> Refusal | None:
    """Refuse regions that save neither products nor bytes."""
    saved = context.saves(_edit(context.graph, site))
    if saved.macs <= 0 and saved.bytes_moved <= 0:
        return Refusal("it would save nothing", site.nodes)
    return None


def rewrite(context: Context, site: Skipped, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the region on the read positions, its readers without their stride."""
    return (Rewrite("the stride moved up", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Skipped) -> GraphEdit:
    return lattice.edit(graph, site.region)


def advise(
    context: Context, sites: tuple[Skipped, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest region."""
    graph = context.graph
    site = max(sites, key=lambda site: _price(context, site))
    step, region = site.region.step, site.region
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)} places)"
    size = drafting.extent(graph[region.root].output.shape[2:])
    return contract.Advice(
        message=f"{_layers(graph, region)} on {size}{among}, and every reader keeps 1 of "
        f"{math.prod(step)} positions: with the stride moved up {_left(context, site)}",
        instead=_code(graph, region),
        risk="same function; old checkpoints load as they are",
    )


def _price(context: Context, site: Skipped) -> tuple[int, int]:
    return context.cost.macs_of(site.anchor), context.graph[site.region.root].output.bytes


def _layers(graph: ModelGraph, region: Region) -> str:
    """Return "2 convs and what is between run", "norm runs" or "mul, add, relu run"."""
    layers = sum(isinstance(graph[key].op, ir.Conv) for key in region.inner)
    if layers:
        return f"{layers} conv{'' if layers == 1 else 's'} and what is between run"
    nodes = [graph[key] for key in region.inner]
    busy = [node for node in nodes if not isinstance(node.op, ir.Identity)] or nodes
    kinds = tuple(dict.fromkeys(_word(node) for node in busy))
    return f"{', '.join(kinds)} run{'s' if len(kinds) == 1 else ''}"


def _word(node: Node) -> str:
    return node.op.fn if isinstance(node.op, (ir.Activation, ir.Elementwise)) else node.kind


def _left(context: Context, site: Skipped) -> str:
    """Return what the region does of its work on the read positions: in MACs, else in bytes."""
    region, saved = site.region, context.saves(_edit(context.graph, site))
    costs = [context.cost.nodes[key] for key in region.inner]
    macs = sum(cost.macs for cost in costs)
    if macs:
        unit, scale = ("MMACs", 1e6) if macs >= 1e6 else ("kMACs", 1e3)
        return f"they do {(macs - saved.macs) / scale:.1f} of {macs / scale:.1f} {unit}"
    written = sum(cost.bytes_written for cost in costs)
    unit, scale = ("MiB", 2**20) if written >= 2**20 else ("KiB", 2**10)
    kept = written - saved.activation_bytes
    return f"{kept / scale:.1f} of {written / scale:.1f} {unit} are written"


def _code(graph: ModelGraph, region: Region) -> str:
    lines = []
    for key in region.strided:
        op = graph[key].op
        assert isinstance(op, ir.Conv)
        lines.append(f"{drafting.conv_code(lattice.with_stride(op, region.step))}  # in its place")
    steps = "".join(f", ::{step}" for step in region.step)
    if region.sliced:
        lines.append(f"x = x[:, :{steps}]  # of what else they read")
    for key in region.readers:
        op = graph[key].op
        if isinstance(op, ir.Conv):
            lines.append(f"{drafting.conv_code(lattice.without_stride(op))}  # the reader")
    return "\n".join(lines) or "nn.Identity()  # in the place of the readers"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL407",
        name="discarded-positions",
        summary="positions computed that every reader skips",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
        yields_to=("CL409",),
        done_by=("openvino",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
)
