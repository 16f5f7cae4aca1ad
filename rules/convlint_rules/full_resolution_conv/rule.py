"""CL603 full-resolution-conv: a convolution on wide features at the input's own resolution.

What it does
------------
Finds convolutions of stride 1 with at least 16 input channels that run at the input's resolution
in a model whose output is smaller, and hold at least 5 % of its MACs.

Why it costs
------------
Every halving of the resolution divides the work of what comes after by four. VGG-16's second layer
runs on 224x224: 1.85 GMACs, 12 % of the model, for features that a pool halves at once.

Example
-------
    nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(),
    nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),

Use instead
-----------
    nn.Conv2d(3, 64, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(),

Savings
-------
None promised: with the stride one layer earlier the layer costs a quarter.

When not to apply
-----------------
Another function: retrain. Silent where the model's output has the input's resolution or more
(segmentation, super-resolution, denoising), on stems with few channels, and on inputs of 64
pixels and less, where full resolution is small.

Already done by
---------------
Nobody: it is another function.

Options
-------
min-share = 0.05: least share of the model's MACs that the layer holds.
min-channels = 16: least input channels.

References
----------
Simonyan & Zisserman, arXiv 1409.1556 (the layers); ResNet, arXiv 1512.03385 (stride 2 and a pool
before the first block).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph

SMALL_INPUT = 64


class FullResolutionOptions(contract.Options, frozen=True):
    """Options of CL603."""

    min_share: float = 0.05
    min_channels: int = 16


@dataclass(frozen=True, slots=True)
class Full:
    """A convolution at the input's resolution, ``size``."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    size: ir.Ints


def find(context: Context, options: FullResolutionOptions) -> Iterator[Full]:
    """Yield wide convs of stride 1 at the resolution of the model's image input."""
    sizes = {node.output.shape[2:] for node in context.graph.model_inputs}
    for node, op in neighbours.convs(context.graph):
        size = context.graph.input_specs(node)[0].shape[2:]
        wide = op.in_channels >= options.min_channels and max(op.stride) == 1
        if wide and size in sizes and not op.transposed:
            yield Full(node.id, (node.id,), op, size)


def guard(context: Context, site: Full, options: FullResolutionOptions) -> Refusal | None:
    """Refuse dense prediction, small inputs, and layers that hold little."""
    share = context.cost.macs_of(site.anchor) / max(1, context.cost.macs)
    at = drafting.extent(site.size)
    reasons = {
        f"the model's output has {at} positions too": _returns_maps(context.graph, site.size),
        f"the input is {at}": max(site.size) <= SMALL_INPUT and len(site.size) > 1,
        f"it holds {share:.1%} of the MACs, under {options.min_share:.0%}": share
        < options.min_share,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    return Refusal(reason, site.nodes) if reason is not None else None


def _returns_maps(graph: ModelGraph, size: ir.Ints) -> bool:
    """Tell whether some result has at least as many positions as the input."""
    output = graph.model_output
    if output is None:
        return True
    shapes = [spec.shape for spec in graph.input_specs(output)]
    return any(
        len(shape) == len(size) + 2 and math.prod(shape[2:]) >= math.prod(size) for shape in shapes
    )


def rewrite(_context: Context, _site: Full, _options: FullResolutionOptions) -> tuple[Rewrite, ...]:
    """Return no rewrite: where the stride goes is a matter of design."""
    return ()


def advise(
    context: Context, sites: tuple[Full, ...], options: FullResolutionOptions
) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    macs = context.cost.macs_of(site.anchor)
    node = context.graph[site.anchor]
    return contract.Advice(
        message=f"{drafting.extent(site.op.kernel)} {drafting.channels(site.op)} runs at the input's "
        f"{drafting.extent(site.size)} and holds {macs / context.cost.macs:.1%} of the MACs (told "
        f"from {options.min_share:.0%}): with stride 2 one layer earlier it costs "
        f"{macs * 0.25 / 1e6:.0f} M of {macs / 1e6:.0f} MMACs",
        instead=f"# stride 2 in the layer before, and no pool after\n{drafting.chain_code(node, site.op)}"
        if drafting.is_functional(node)
        else f"{drafting.conv_code(site.op)}  # behind a stem with stride=2",
        risk="another function, retrain: the first features are coarser",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL603",
        name="full-resolution-conv",
        summary="a conv on wide features at the input's own resolution",
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
    options=FullResolutionOptions,
)
