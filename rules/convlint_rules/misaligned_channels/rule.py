"""CL501 misaligned-channels: channel counts that the target pads.

What it does
------------
Finds convolutions whose input or output channels are no multiple of what the target computes at
once, where padding adds at least 15 % on one of them. It runs under profiles of hardware that
pads: GPUs in FP16 and INT8, microcontrollers, NPUs.

Why it costs
------------
The kernel computes the padded channels all the same: 18 channels on hardware that takes 8 at a
time cost as much as 24.

Example
-------
    self.conv = nn.Conv2d(18, 18, 3, padding=1)

Use instead
-----------
    self.conv = nn.Conv2d(16, 16, 3, padding=1)

or, with room for more at the same price:

    self.conv = nn.Conv2d(24, 24, 3, padding=1)

Savings
-------
None in MACs that are counted; the message tells the share of the padded MACs that is waste:
1 - Cin*Cout / (padded Cin * padded Cout).

When not to apply
-----------------
Another function: retrain. Rounding up adds the MACs that are paid for already, and parameters.
Silent on stems with up to 4 channels, prediction layers, layers on 1x1 maps, depthwise ones, and
where all such layers together hold under 1 % of the MACs. Grouped layers are told by their channels a group.

Already done by
---------------
Nobody: compilers pad and keep the waste (XLA where no buffer grows by more than 1.35).

Options
-------
multiple = 0: channels at once; 0 takes the target's.
waste = 0.15: least padding on one of the two.
min-share = 0.01: least share of the model's MACs that such layers hold together.

References
----------
NVIDIA, Convolutional Layers User Guide; github.com/NVIDIA/TensorRT issue 1310; the profiles name
the source of each target's multiple.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir

STEM_CHANNELS = 4
_UNPADDED = frozenset(["generic", "cpu", "arm", "eager"])


class MisalignedOptions(contract.Options, frozen=True):
    """Options of CL501."""

    multiple: int = 0
    waste: float = 0.15
    min_share: float = 0.01


@dataclass(frozen=True, slots=True)
class Misaligned:
    """A convolution; ``channels`` are (in, out) a group, ``padded`` what is computed.

    ``share`` is that of the MACs which all layers padded as much hold together.
    """

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    channels: tuple[int, int]
    padded: tuple[int, int]
    prediction: bool
    share: float = 0.0

    @property
    def grows(self) -> float:
        """By what share the worse side is padded."""
        return max(b / a - 1 for a, b in zip(self.channels, self.padded, strict=True))


def find(context: Context, options: MisalignedOptions) -> Iterator[Misaligned]:
    """Yield convs of which some channel count is no multiple, where the target pads."""
    multiple = options.multiple or int(context.target.number("channel_multiple"))
    if not multiple or _UNPADDED.issuperset(name for name in context.target.family if name):
        return
    found = list(_padded(context, multiple))
    macs = sum(context.cost.macs_of(site.anchor) for site in found if site.grows >= options.waste)
    share = macs / max(1, context.cost.macs)
    yield from (replace(site, share=share) for site in found)


def _padded(context: Context, multiple: int) -> Iterator[Misaligned]:
    predictions = neighbours.prediction_convs(context.graph)
    for node, op in neighbours.convs(context.graph):
        channels = (op.in_channels // op.groups, op.out_channels // op.groups)
        padded = tuple(math.ceil(count / multiple) * multiple for count in channels)
        if padded != channels:
            yield Misaligned(
                node.id, (node.id,), op, channels, (padded[0], padded[1]), node.id in predictions
            )


def guard(context: Context, site: Misaligned, options: MisalignedOptions) -> Refusal | None:
    """Refuse layers that pad little or hold little, and those whose channels are given."""
    op = site.op
    node = context.graph[site.anchor]
    worst, share = site.grows, site.share
    reasons = {
        "it is depthwise": op.depthwise,
        f"it is a stem: {op.in_channels} input channels": op.in_channels <= STEM_CHANNELS,
        "it is the prediction layer": site.prediction,
        "its map is 1x1": math.prod(node.output.shape[2:]) == 1,
        f"padding adds {worst:.0%} to a side, under {options.waste:.0%}": worst < options.waste,
        f"such layers hold {share:.1%} of the MACs, under {options.min_share:.1%}": share
        < options.min_share,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    return Refusal(reason, site.nodes) if reason is not None else None


def rewrite(
    _context: Context, _site: Misaligned, _options: MisalignedOptions
) -> tuple[Rewrite, ...]:
    """Return no rewrite: the neighbours' channels would have to change with it."""
    return ()


def advise(
    context: Context, sites: tuple[Misaligned, ...], options: MisalignedOptions
) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    multiple = options.multiple or int(context.target.number("channel_multiple"))
    convs = drafting.counted([context.graph[one.anchor] for one in sites], "conv")
    waste = 1 - math.prod(site.channels) / math.prod(site.padded)
    each = "" if site.op.groups == 1 else " a group"
    return contract.Advice(
        message=f"{convs}: {site.channels[0]}->{site.channels[1]}{each} is computed as "
        f"{site.padded[0]}->{site.padded[1]} on {context.profile}, which takes {multiple} channels "
        f"at a time: {waste:.0%} of its work is padding (told from {options.waste:.0%} a side)"
        f"{_silently(context, site)}",
        instead=_instead(context, site, multiple),
        risk="another function, retrain; rounding up costs parameters, rounding down capacity",
    )


def _silently(context: Context, site: Misaligned) -> str:
    """Say whether a compiler pads so much by itself, where the target tells its limit."""
    limit = context.target.number("padding_limit")
    if not limit:
        return ""
    if 1 + site.grows <= limit:
        return f"; compilers do so silently where a side grows {limit:g} times at most"
    return (
        f"; a side grows {1 + site.grows:.2f} times, over the {limit:g} up to which compilers pad "
        f"by themselves: unpadded it misses the fast kernels"
    )


def _instead(context: Context, site: Misaligned, multiple: int) -> str:
    node, op = context.graph[site.anchor], site.op

    def sized(channels: int, *, up: bool) -> int:
        lower = max(multiple, channels // multiple * multiple)
        return -(-channels // multiple) * multiple if up else lower

    down, up = (
        msgspec.structs.replace(
            op,
            in_channels=sized(site.channels[0], up=way) * op.groups,
            out_channels=sized(site.channels[1], up=way) * op.groups,
        )
        for way in (False, True)
    )
    return f"{drafting.chain_code(node, down)}\n# or: {drafting.chain_code(node, up)}"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL501",
        name="misaligned-channels",
        summary="channel counts that the target pads",
        severity=Severity.INFO,
        exact=False,
        since="0.2.0",
        gated=False,
        yields_to=("CL202",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=MisalignedOptions,
)
