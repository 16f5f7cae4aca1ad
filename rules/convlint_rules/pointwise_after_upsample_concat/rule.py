"""CL403 pointwise-after-upsample-concat: a 1x1 convolution of maps some of which were upsampled.

What it does
------------
Finds 1x1 convolutions that read a concatenation of channels of which parts were upsampled (or
expanded, tiled) for it: decoders with a skip connection, heads that join several scales, pooled
branches. Several convolutions that read one concatenation count together. Dropout and batch norms
may stand between the upsampling and the concatenation; after nearest neighbours, activations too.

Why it costs
------------
The convolution of a concatenation is the sum of the convolutions of its parts, and that of an
upsampled part may be made before it grows: W [up(a), b] = up(Wa a) + Wb b.

Example
-------
    x = torch.cat([F.interpolate(a, scale_factor=2, mode="bilinear"), b], 1)
    x = self.fuse(x)                                    # nn.Conv2d(256 + 64, 64, 1)

Use instead
-----------
    x = self.fuse_b(b)                                  # nn.Conv2d(64, 64, 1)
    a = self.fuse_a(a)                                  # nn.Conv2d(256, 64, 1, bias=False)
    x = x + F.interpolate(a, scale_factor=2, mode="bilinear")

    w = old.pop("fuse.weight")
    old["fuse_a.weight"], old["fuse_b.weight"] = w[:, :256], w[:, 256:]
    old["fuse_b.bias"] = old.pop("fuse.bias")

Savings
-------
MACs: for each upsampled part Ca x Cout x the positions that are added. The concatenation goes;
each part is interpolated with Cout channels in place of Ca and added to the sum, which moves
4 x (Cout - Ca) values more for each position: more bytes where the convolution widens.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
smp PSPNet, efficientnet-b0: 1.13, -, 1.18, 1.06; SegFormer's head as in B0, 512x512 images: 0.41,
0.20, 0.30, 0.42.

When not to apply
-----------------
Where Cout is far more than Ca the interpolation and the sums cost more time than the MACs save.
With four pooled branches of 10 channels that grow to 512 (a pyramid pooling on a small encoder)
the place took ten times as long and more on one CPU core, eager and compiled; with 48 to 384
channels that grow to 720 it took 1.4 times as long eager and a third compiled. A finding that moves
more bytes is an info and says how many. Under a profile other than generic, parts that save less
MACs for each byte moved more than the target makes in the time of one (its ridge) are left alone;
min-macs-per-byte sets a limit of your own.
Silent where other nodes than 1x1 convolutions read the concatenation, where an upsampled part has
other readers, for groups, and where the weight serves other calls.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, onnxoptimizer, onnxscript, OnnxSlim, ncnn, TVM, XLA,
Inductor, OpenVINO, coremltools).

Options
-------
min-macs-per-byte (not set): MACs to save for each byte moved more; by default 0 under generic and
the profile's ridge under others.

References
----------
Linearity of both; the heads of SegFormer (arXiv 2105.15203) and HRNetV2 (arXiv 1908.07919), the
pyramid pooling of PSPNet (arXiv 1612.01105).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint_rules.pointwise_after_upsample_concat import words
from convlint_rules.pointwise_after_upsample_concat.obstacles import obstacle

from convlint import contract
from convlint.analysis import branches, drafting, mixers, pointwise
from convlint.analysis.branches import Group, Joined
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.profiles import GENERIC

WARN_SHARE = 0.02
"""Share of the model's MACs from which a finding that moves no more bytes is a warning."""


class PointwiseAfterUpsampleConcatOptions(contract.Options, frozen=True):
    """Options of CL403."""

    min_macs_per_byte: float | None = None


@dataclass(frozen=True, slots=True)
class Fused:
    """1x1 convolutions of a concatenation; ``groups`` are the parts to convolve before they grow.

    Where there are none, ``reason`` says why, and ``faulty`` are the nodes at fault.
    """

    anchor: str
    nodes: tuple[str, ...]
    join: Joined
    groups: tuple[Group, ...] = ()
    reason: str = ""
    faulty: tuple[str, ...] = ()


def find(context: Context, options: PointwiseAfterUpsampleConcatOptions) -> Iterator[Fused]:
    """Yield concatenations with an upsampled part that 1x1 convolutions read."""
    for join in branches.joined(context.graph):
        several = any(branch.growth and not branch.constant for branch in join.branches)
        ops = [context.graph[key].op for key in join.convs]
        if several and any(pointwise.is_pointwise(op) for op in ops):
            yield _chosen(context, join, options)


def _chosen(context: Context, join: Joined, options: PointwiseAfterUpsampleConcatOptions) -> Fused:
    """Return the place with the groups of parts that pay, or with the reason why none does."""
    graph, anchor = context.graph, join.convs[0]
    hard = obstacle(graph, join)
    if hard is not None:
        return Fused(anchor, join.ids, join, reason=hard.reason, faulty=hard.nodes)
    grown = [branch for branch in join.branches if branch.growth]
    reasons = {branch.growth: branches.trouble(graph, join, branch) for branch in grown}
    free = branches.groups(graph, (branch for branch in grown if reasons[branch.growth] is None))
    least = _least(context, options)
    losses = {
        group: pointwise.loss(context.saves(branches.split(graph, join, (group,))), least)
        for group in free
    }
    paying = tuple(group for group, why in losses.items() if why is None)
    if any(not group.constant for group in paying):
        return Fused(anchor, join.ids, join, paying)
    whys = [*losses.values(), *reasons.values()]
    reason = next(why for why in whys if why is not None)
    return Fused(anchor, join.ids, join, reason=reason, faulty=tuple(reasons))


def _least(context: Context, options: PointwiseAfterUpsampleConcatOptions) -> float:
    if options.min_macs_per_byte is not None:
        return options.min_macs_per_byte
    return 0 if context.target.name == GENERIC.name else context.target.number("ridge")


def guard(
    context: Context, site: Fused, _options: PointwiseAfterUpsampleConcatOptions
) -> Refusal | None:
    """Refuse where no part can be convolved before it grows, or none would pay."""
    if any(not pointwise.is_pointwise(context.graph[key].op) for key in site.join.convs):
        return Refusal("a larger kernel reads the concatenation too", site.join.convs)
    return Refusal(site.reason, site.faulty) if site.reason else None


def rewrite(
    context: Context, site: Fused, _options: PointwiseAfterUpsampleConcatOptions
) -> tuple[Rewrite, ...]:
    """Return the sum of the convolutions of the parts, each made where the part is small."""
    edit = branches.split(context.graph, site.join, site.groups)
    return (Rewrite("each part convolved before it grows", edit),)


def advise(
    context: Context, sites: tuple[Fused, ...], _options: PointwiseAfterUpsampleConcatOptions
) -> contract.Advice:
    """Word the finding by its dearest place, and say what more it moves."""
    graph = context.graph
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    saved = context.saves(branches.split(graph, site.join, site.groups))
    conv = graph[site.anchor]
    ways = [words.way(graph, group) for group in site.groups]
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} places)"
    more = -saved.bytes_moved
    price = f"; it moves {more / 2**20:.1f} MiB more, so time it" if more > 0 else ""
    share = saved.macs / context.cost.macs if context.cost.macs else 0
    wins = pointwise.loss(saved, context.target.number("ridge")) is None
    return contract.Advice(
        message=f"{mixers.words(conv)} at {drafting.extent(conv.output.shape[2:])}{among} reads "
        f"{', '.join(ways)}: convolved before they grow and added, they give the same{price}",
        instead=words.code(graph, site.join, site.groups),
        risk="same function; the weight of old checkpoints is cut into the columns of the parts",
        severity=Severity.WARNING if wins and share >= WARN_SHARE else None,
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL403",
        name="pointwise-after-upsample-concat",
        summary="a 1x1 convolution of a concatenation with upsampled parts: convolve them first",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=PointwiseAfterUpsampleConcatOptions,
    weights="convlint_rules.pointwise_after_upsample_concat.apply:weights",
)
