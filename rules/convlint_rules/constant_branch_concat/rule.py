"""CL404 constant-branch-concat: a pooled branch is spread over the map and convolved everywhere.

What it does
------------
Finds convolutions of a concatenation of which a part has one position (a global pool, an embedding
of the image) and was interpolated, expanded or tiled to the size of the map.

Why it costs
------------
The part has the same values at every position, so its share of the convolution is one vector.
Spread first, the same products are made once for each position.

Example
-------
    pooled = F.interpolate(self.pool(x), size=x.shape[2:], mode="bilinear")
    x = self.project(torch.cat([x, pooled], 1))         # nn.Conv2d(1024 + 256, 256, 1)

Use instead
-----------
    x = self.project(x) + self.project_pooled(self.pool(x))
                          # nn.Conv2d(1024, 256, 1) and nn.Conv2d(256, 256, 1, bias=False)

    w = old.pop("project.weight")
    old["project.weight"], old["project_pooled.weight"] = w[:, :1024], w[:, 1024:]

Savings
-------
MACs: Cc x Cout x k^2 x (positions - 1); with k > 1 also weights, k^2 - 1 of k^2 of that part. The
spread map is neither written nor read, and where one part is left the concatenation goes too; one
addition of a vector to the map comes.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
torchvision's DeepLabHead on mobilenet_v3_large: 0.99, 0.98, 1.00, 0.97.

When not to apply
-----------------
A larger kernel with zero padding is left alone: at the border it sees zeros, not the vector
(without padding, or with reflected, replicated or circular padding, one kernel position more or
less makes no difference, and the weights are summed over the taps). Silent where others read the
concatenation or the spread map, for groups, where the weight serves other calls, where an
activation stands after a spread other than a copy, and where the addition moves so many bytes more
that less than min-macs-per-byte products are saved for each. Where parts of other sizes were
upsampled for the same concatenation, CL403 takes them all.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, onnxoptimizer, onnxscript, OnnxSlim, ncnn, TVM, XLA,
Inductor, OpenVINO, coremltools).

Options
-------
min-macs-per-byte = 4.0: products saved for each byte that is moved more.

References
----------
Linearity of the convolution; the pooled branch of DeepLabv3 (arXiv 1706.05587), 20 % of its
projection in torchvision.
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
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph


class ConstantBranchConcatOptions(contract.Options, frozen=True):
    """Options of CL404."""

    min_macs_per_byte: float = 4.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Convolutions of a concatenation; ``groups`` holds its parts of one position."""

    anchor: str
    nodes: tuple[str, ...]
    join: Joined
    groups: tuple[Group, ...]


def find(context: Context, _options: ConstantBranchConcatOptions) -> Iterator[Spread]:
    """Yield concatenations of which a part was spread from one position."""
    graph = context.graph
    for join in branches.joined(graph):
        constant = [branch for branch in join.branches if branch.constant]
        free = [branch for branch in constant if branches.trouble(graph, join, branch) is None]
        if constant:
            yield Spread(join.convs[0], join.ids, join, branches.groups(graph, free))


def guard(context: Context, site: Spread, options: ConstantBranchConcatOptions) -> Refusal | None:
    """Refuse borders that are not constant, parts that others need, and what would not pay."""
    graph, join = context.graph, site.join
    refusal = obstacle(graph, join) or _border(graph, join)
    if refusal is not None:
        return refusal
    if not site.groups:
        branch = next(branch for branch in join.branches if branch.constant)
        return Refusal(branches.trouble(graph, join, branch) or "", branch.ids)
    saved = context.saves(branches.split(graph, join, site.groups))
    why = pointwise.loss(saved, options.min_macs_per_byte)
    return None if why is None else Refusal(why, site.nodes)


def _border(graph: ModelGraph, join: Joined) -> Refusal | None:
    for key in join.convs:
        op = graph[key].op
        assert isinstance(op, ir.Conv)
        padded = any(side > 0 for sides in op.padding for side in sides)
        if padded and op.padding_mode == "zeros":
            reason = f"{drafting.extent(op.kernel)} with zero padding: the border sees zeros"
            return Refusal(reason, (key,))
    return None


def rewrite(
    context: Context, site: Spread, _options: ConstantBranchConcatOptions
) -> tuple[Rewrite, ...]:
    """Return the convolution of the other parts, and the vector that is added everywhere."""
    edit = branches.split(context.graph, site.join, site.groups)
    return (Rewrite("convolved as one position", edit),)


def advise(
    context: Context, sites: tuple[Spread, ...], _options: ConstantBranchConcatOptions
) -> contract.Advice:
    """Word the finding by its dearest place."""
    graph = context.graph
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    conv = graph[site.anchor]
    channels = sum(group.channels for group in site.groups)
    size = graph.spec(conv.inputs[0]).shape[2:]
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} places)"
    return contract.Advice(
        message=f"{mixers.words(conv)}{among} reads {channels} channels that have one value each, "
        f"spread over {drafting.extent(size)}: convolved as one position and added, they give the "
        "same",
        instead=words.code(graph, site.join, site.groups),
        risk="same function; the weight of old checkpoints is cut into the columns of the parts",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL404",
        name="constant-branch-concat",
        summary="a pooled branch spread over the map before a convolution",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        yields_to=("CL403",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=ConstantBranchConcatOptions,
    weights="convlint_rules.pointwise_after_upsample_concat.apply:weights",
)
