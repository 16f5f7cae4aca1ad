"""CL202 narrow-groups: grouped convolutions with few channels a group.

What it does
------------
Finds grouped convolutions (not depthwise) with fewer channels a group than the target's kernels
are good at, that together hold at least 1 % of the model's MACs. On targets that run a grouped convolution
as one convolution a group, every grouped one is told.

Why it costs
------------
Grouping divides the MACs by the number of groups, and the time by less: FasterNet (Table 1)
measured 16 groups against the dense layer at 6, 12, 24 and 48 channels a group as 0.96, 2.2, 3.4
and 5.1 times as fast on a 2080Ti, 1.6, 3.7, 7.2 and 15 times on an i9-9900X, for 16 times fewer
MACs each.

Example
-------
    self.conv = nn.Conv2d(128, 128, 3, padding=1, groups=32)

Use instead
-----------
    self.conv = nn.Conv2d(128, 128, 3, padding=1, groups=8)

Savings
-------
None in MACs: fewer groups multiply more. It is about time, so measure it: convlint measure.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
2 groups for dense 3x3 128->128 at 28x28: 0.56, 0.61, 0.54, 0.69; 4 groups for dense 3x3 128->128
at 28x28: 0.35, 0.39, 0.33, 0.52; 8 groups for dense 3x3 128->128 at 28x28: 0.24, 0.28, 0.26,
0.44; 16 groups for dense 3x3 128->128 at 28x28: 0.21, 0.27, 0.43, 0.42.

When not to apply
-----------------
Not the same function: retrain. Silent on depthwise layers (CL502 speaks of those), on layers that
hold little, and on widths that the target runs well (RegNet's 48).

Already done by
---------------
Nobody: it is another function.

Options
-------
min-share = 0.01: least share of the model's MACs that such layers hold together.
min-width = 0: channels a group to ask for; 0 takes the target's.

References
----------
FasterNet, arXiv 2303.03667 (Table 1); ShuffleNetV2, arXiv 1807.11164 (G2); the profiles name the
source of each target's width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir


class NarrowGroupsOptions(contract.Options, frozen=True):
    """Options of CL202."""

    min_share: float = 0.01
    min_width: int = 0


@dataclass(frozen=True, slots=True)
class Narrow:
    """A grouped convolution; ``width`` are its channels a group.

    ``share`` is that of the MACs which all grouped convs as narrow hold together.
    """

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    width: int
    share: float


def find(context: Context, options: NarrowGroupsOptions) -> Iterator[Narrow]:
    """Yield grouped convs that are not depthwise."""
    grouped = [
        (node, op, min(op.in_channels, op.out_channels) // op.groups)
        for node, op in neighbours.convs(context.graph)
        if op.groups > 1 and not op.depthwise
    ]
    narrow = [node for node, _, width in grouped if not _suits(context, width, options)]
    macs = sum(context.cost.macs_of(node.id) for node in narrow)
    for node, op, width in grouped:
        yield Narrow(node.id, (node.id,), op, width, macs / max(1, context.cost.macs))


def _suits(context: Context, width: int, options: NarrowGroupsOptions) -> bool:
    """Tell whether the target runs groups of this width well."""
    least = options.min_width or context.target.number("min_group_width")
    return width >= least and not context.target.holds("groups_split")


def guard(context: Context, site: Narrow, options: NarrowGroupsOptions) -> Refusal | None:
    """Refuse groups that are wide enough for the target, and layers that hold little."""
    least = options.min_width or context.target.number("min_group_width")
    split = context.target.holds("groups_split")
    if not least and not split:
        return Refusal(f"what {context.profile} makes of groups is not known", site.nodes)
    if _suits(context, site.width, options):
        return Refusal(f"{site.width} channels a group, {least:g} are enough", site.nodes)
    if site.share < options.min_share:
        what = f"such layers hold {site.share:.1%} of the MACs, under {options.min_share:.1%}"
        return Refusal(what, site.nodes)
    return None


def rewrite(_context: Context, _site: Narrow, _options: NarrowGroupsOptions) -> tuple[Rewrite, ...]:
    """Return no rewrite: fewer groups cost MACs."""
    return ()


def advise(
    context: Context, sites: tuple[Narrow, ...], options: NarrowGroupsOptions
) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    op, target = site.op, context.target
    least = options.min_width or target.number("min_group_width")
    convs = drafting.counted([context.graph[one.anchor] for one in sites], "grouped conv")
    if target.holds("groups_split"):
        why = f"{context.profile} runs one convolution a group ({target.source('groups_split')})"
    else:
        why = (
            f"fewer than {least:g} run far below the dense rate on {context.profile}, so that "
            f"{op.groups} times fewer MACs are not {op.groups} times less time"
        )
    return contract.Advice(
        message=f"{convs}, {drafting.channels(op)} with groups={op.groups}: {site.width} channels a "
        f"group; {why}",
        instead=_instead(context, site, int(least)),
        risk="another function, retrain; more MACs for what may be less time: measure it first",
    )


def _instead(context: Context, site: Narrow, least: int) -> str:
    node = context.graph[site.anchor]
    groups = site.op.groups
    while groups > 1 and (
        groups * least > min(site.op.in_channels, site.op.out_channels)
        or site.op.in_channels % groups
        or site.op.out_channels % groups
    ):
        groups -= 1
    if context.target.holds("groups_split"):
        groups = 1
    return drafting.chain_code(node, msgspec.structs.replace(site.op, groups=groups))


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL202",
        name="narrow-groups",
        summary="grouped convs with few channels a group",
        severity=Severity.INFO,
        exact=False,
        since="0.2.0",
        gated=False,
        severity_by_profile=dict.fromkeys(("gpu-fp16", "gpu-int8", "ethos-u"), Severity.WARNING),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=NarrowGroupsOptions,
)
