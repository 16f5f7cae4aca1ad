"""CL201 unshuffled-groups: grouped convolutions in a row whose channel groups never meet.

What it does
------------
Follows the channels of every grouped convolution (1 < groups < Cin) to the next grouped one,
through views, permutes, slices, concats, depthwise convs and sums alike, and finds pairs where
the channels of one group never reach the other groups. Two depthwise convs with no other conv
between are the same case with one channel per group.

Why it costs
------------
Channels in islands see a fraction of the features below them: the layers work as several thin
nets side by side, at full memory traffic.

Example
-------
    self.a = nn.Conv2d(64, 64, 3, padding=1, groups=4)
    self.b = nn.Conv2d(64, 64, 3, padding=1, groups=4)

Use instead
-----------
    self.a = nn.Conv2d(64, 64, 3, padding=1, groups=4)
    self.shuffle = nn.ChannelShuffle(4)
    self.b = nn.Conv2d(64, 64, 3, padding=1, groups=4)

The shuffle offered was tried on the traced model. Where no single one connects the groups (8,
then 16, on 64 channels), the conv that costs least without groups is named instead. Ungrouping
is a cure everywhere: groups cost speed on GPUs (ShuffleNetV2, guideline 2), and Ethos-U runs a
grouped convolution as a split, one convolution a group and a concat; the message says so there.

Savings
-------
None: a shuffle has 0 MACs and 0 parameters and writes the tensor once. It buys accuracy.

When not to apply
-----------------
The function changes: retrain. ShuffleNet (Table 3) names 1.9 points of error for g=3 and 5.2
for g=8 without shuffling. Silent where a dense conv, a linear, attention or an unknown
operation mixes between (ResNeXt, RegNet), on ShuffleNet v1 (a run of exactly two between two
shuffles) and v2. Two depthwise convs count in a plain chain only: silent on a large kernel
factorised in two (the second dilated, or a 1xk strip), on a fixed filter (blur), on token mixers
with a shortcut (FastViT) and on contexts that are read in between (FocalNet).

Already done by
---------------
Nobody: it is another function.

Options
-------
min-run = 2: shortest run of grouped convs that is told.

References
----------
ShuffleNet, arXiv 1707.01083 (3.1, Table 3); ShuffleNetV2, arXiv 1807.11164.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint_rules.unshuffled_groups import cures

from convlint import contract
from convlint.analysis import drafting
from convlint.analysis.channel_flow import Flow, Pair, grouped_pairs
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import merge
from convlint.ir.graph import ModelGraph


class UnshuffledGroupsOptions(contract.Options, frozen=True):
    """Options of CL201."""

    min_run: int = 2


@dataclass(frozen=True, slots=True)
class Run:
    """Grouped convs in a row, in execution order, with the pairs that stay in islands.

    ``shuffled`` tells whether a shuffle leads from a grouped conv into the first, and from the
    last into another.
    """

    anchor: str
    nodes: tuple[str, ...]
    pairs: tuple[Pair, ...]
    shuffled: bool


def find(context: Context, options: UnshuffledGroupsOptions) -> Iterator[Run]:
    """Yield the runs of at least ``min_run`` convs."""
    pairs = grouped_pairs(context.graph)
    firsts = {pair.first for pair in pairs if pair.flow is Flow.SHUFFLED}
    seconds = {pair.second for pair in pairs if pair.flow is Flow.SHUFFLED}
    for members, inside in _runs(context.graph, pairs):
        if len(members) >= options.min_run:
            shuffled = members[0] in seconds and members[-1] in firsts
            yield Run(members[0], members, inside, shuffled)


def _runs(
    graph: ModelGraph, pairs: tuple[Pair, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[Pair, ...]]]:
    """Yield the convs that island pairs connect, with those pairs (union-find)."""
    islands = [pair for pair in pairs if pair.flow is Flow.ISLANDS]
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for pair in islands:
        parent[root(pair.second)] = root(pair.first)
    runs: dict[str, list[Pair]] = {}
    for pair in islands:
        runs.setdefault(root(pair.first), []).append(pair)
    for inside in runs.values():
        members = {key for pair in inside for key in (pair.first, pair.second)}
        yield tuple(sorted(members, key=graph.order.__getitem__)), tuple(inside)


def guard(_context: Context, site: Run, _options: UnshuffledGroupsOptions) -> Refusal | None:
    """Refuse the run that ShuffleNet v1 has by design: once a unit, between two shuffles."""
    if len(site.nodes) == 2 and site.shuffled:
        reason = "a pair between two shuffles: ShuffleNet v1 shuffles once a unit"
        return Refusal(reason, site.nodes)
    return None


def rewrite(context: Context, site: Run, _options: UnshuffledGroupsOptions) -> tuple[Rewrite, ...]:
    """Return the shuffles that connect; for depthwise convs no shuffle helps."""
    if cures.conv_of(context.graph, site.anchor).depthwise:
        return ()
    found = [cure for cure in cures.cures(context.graph, site.pairs) if cure.groups]
    if not found:
        return ()
    edits = [cures.shuffle_before(context.graph, cure.second, cure.groups) for cure in found]
    return (Rewrite(f"ChannelShuffle({found[0].groups}) between them", merge(edits)[0]),)


def advise(
    context: Context, sites: tuple[Run, ...], _options: UnshuffledGroupsOptions
) -> contract.Advice:
    """Word the finding by its longest run."""
    site = max(sites, key=lambda site: len(site.nodes))
    first = cures.conv_of(context.graph, site.anchor)
    nodes = [context.graph[key] for key in site.nodes]
    islands = min(pair.islands for pair in site.pairs)
    if first.depthwise:
        return contract.Advice(
            message=f"{drafting.counted(nodes, 'depthwise conv')} in a row and no pointwise conv "
            f"between: each of the {islands} channels stays alone",
            instead=f"nn.Conv2d({first.out_channels}, {first.out_channels}, 1)  # between them",
            risk="adds the MACs of a 1x1; or make one larger depthwise kernel of the two; retrain",
        )
    found = cures.cures(context.graph, site.pairs)
    none = "" if all(cure.groups for cure in found) else "; no single shuffle connects them"
    return contract.Advice(
        message=f"{drafting.counted(nodes, 'grouped conv')} in a row "
        f"({_groups(context, site)}) and {cures.between(context.graph, site.pairs)}: "
        f"channels stay in {islands} isolated islands{none}{_split(context)}",
        instead=cures.code(context, found),
        risk="not the same function, retrain: ShuffleNet (Table 3) gains 1.9 (g=3) to 5.2 (g=8) "
        "points by shuffling; ungrouping is the other cure, since groups cost speed on GPUs",
    )


def _split(context: Context) -> str:
    """Say what grouping is worth on a target that takes it apart."""
    if not context.target.holds("groups_split"):
        return ""
    return f"; {context.profile} runs one convolution a group: ungroup them there"


def _groups(context: Context, site: Run) -> str:
    """Return "g=4", or "g=8, then 16" where they differ."""
    groups = [cures.conv_of(context.graph, key).groups for key in site.nodes]
    different = [str(g) for place, g in enumerate(groups) if not place or g != groups[place - 1]]
    return f"g={', then '.join(different[:4])}{', …' if len(different) > 4 else ''}"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL201",
        name="unshuffled-groups",
        summary="grouped convs in a row whose channel groups never meet",
        severity=Severity.WARNING,
        exact=False,
        since="0.1.0",
        gated=False,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=UnshuffledGroupsOptions,
)
