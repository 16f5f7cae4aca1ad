"""CL103 gridding: dilated 3x3 convolutions in a row whose rates leave holes between the taps.

What it does
------------
Finds two or more stride-1 convolutions of 3 taps and dilation > 1 in a row whose rates share a
divisor, or grow faster than their taps cover.

Why it costs
------------
With rates 2, 2, 2 every output sees a grid of one input in four and never the ones between: the
layers are paid for a field that they read in part.

Example
-------
    nn.Conv2d(64, 64, 3, padding=2, dilation=2), nn.ReLU(),
    nn.Conv2d(64, 64, 3, padding=2, dilation=2), nn.ReLU(),

Use instead
-----------
    nn.Conv2d(64, 64, 3, padding=1, dilation=1), nn.ReLU(),
    nn.Conv2d(64, 64, 3, padding=2, dilation=2), nn.ReLU(),

Savings
-------
None: the MACs stay, the field is read without holes.

When not to apply
-----------------
A smell and no fault: residual paths and convolutions of rate 1 before the row fill the holes in
part, and DeepLabv3 (Table 3) gained from rates 2, 4, 8 that this test would refuse. So it is an
info, and rows whose rates grow from 1 without a gap (1, 2, 4, 8, …: a temporal convolutional net)
are silent, as are parallel rates (ASPP) and single dilated layers.

Already done by
---------------
Nobody: it is another function.

Options
-------
min-run = 2: the shortest row that is told.

References
----------
Wang et al., Understanding Convolution for Semantic Segmentation, arXiv 1702.08502 (3.2); Yu et
al., Dilated Residual Networks, arXiv 1705.09914; DeepLabv3, arXiv 1706.05587 (Table 3).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

_THROUGH = (*neighbours.POINTWISE, ir.Add, ir.Mul, ir.Concat)


class GriddingOptions(contract.Options, frozen=True):
    """Options of CL103."""

    min_run: int = 2


@dataclass(frozen=True, slots=True)
class Run:
    """Dilated convs in a row; ``rates`` in order, ``first`` the rate of what comes before it."""

    anchor: str
    nodes: tuple[str, ...]
    rates: tuple[int, ...]
    after_plain: bool


def find(context: Context, options: GriddingOptions) -> Iterator[Run]:
    """Yield rows of dilated 3-tap convs of stride 1, in execution order."""
    before = _spatial_before(context.graph)
    followers: dict[str, list[str]] = {}
    for node_id, previous in before.items():
        if previous is not None:
            followers.setdefault(previous, []).append(node_id)
    taken: set[str] = set()
    for node, op in neighbours.convs(context.graph):
        if node.id in taken or not _is_dilated(op):
            continue
        row = [node]
        while True:
            ahead = followers.get(row[-1].id, [])
            following = context.graph[ahead[0]] if len(ahead) == 1 else None
            if following is None or not _is_dilated(following.op):
                break
            row.append(following)
        taken.update(one.id for one in row)
        if len(row) >= options.min_run:
            yield _run(context.graph, row, before[node.id])


def _run(graph: ModelGraph, row: Sequence[Node], previous: str | None) -> Run:
    rates = tuple(max(node.op.dilation) for node in row if isinstance(node.op, ir.Conv))
    earlier = None if previous is None else graph[previous].op
    plain = isinstance(earlier, ir.Conv) and max(earlier.dilation) == 1 and max(earlier.stride) == 1
    return Run(row[0].id, tuple(node.id for node in row), rates, plain)


def _is_dilated(op: ir.AnyOp) -> bool:
    """Tell a dilated conv of stride 1 with 3 taps on every axis that has more than one."""
    if not isinstance(op, ir.Conv) or op.transposed:
        return False
    wide = [(k, d) for k, d in zip(op.kernel, op.dilation, strict=True) if k > 1]
    spread = bool(wide) and all(k == 3 and d > 1 for k, d in wide)
    return spread and max(op.stride) == 1


def _is_spatial(node: Node) -> bool:
    return isinstance(node.op, ir.Conv) and node.op.taps > 1


def _spatial_before(graph: ModelGraph) -> dict[str, str | None]:
    """Return for each conv of several taps the last such conv that feeds it.

    Looks through pointwise layers, sums, products and concats; of several paths the one that ran
    last counts, so that a residual block's body is followed and not its shortcut.
    """
    last: dict[str, str | None] = {}
    found: dict[str, str | None] = {}
    for node in graph:
        sources = [last.get(ref.node) for ref in node.inputs]
        known = [key for key in sources if key is not None]
        latest = max(known, key=graph.order.__getitem__, default=None)
        if _is_spatial(node):
            found[node.id] = latest
            last[node.id] = node.id
        elif isinstance(node.op, (_THROUGH, ir.Conv)):
            last[node.id] = latest
        else:
            last[node.id] = None
    return found


def guard(_context: Context, site: Run, _options: GriddingOptions) -> Refusal | None:
    """Refuse rows that cover their field."""
    rates = site.rates
    grows = all(a < b for a, b in itertools.pairwise(rates))
    seen = (1, *rates) if grows and site.after_plain else rates
    if not holes(seen):
        told = ", ".join(map(str, seen))
        return Refusal(f"rates {told} leave no holes", site.nodes)
    return None


def holes(rates: Sequence[int], taps: int = 3) -> bool:
    """Tell whether rates in a row leave holes, by the test of hybrid dilated convolution.

    Their common divisor must be 1, and the largest distance between two inputs that are read,
    ``M_i = max(M_{i+1} - 2 r_i, 2 r_i - M_{i+1}, r_i)`` from the last layer down to the second,
    at most the number of taps (arXiv 1702.08502, equation 2).
    """
    if math.gcd(*rates) > 1:
        return True
    distance = rates[-1]
    for rate in reversed(rates[1:-1]):
        distance = max(distance - 2 * rate, 2 * rate - distance, rate)
    return len(rates) > 1 and distance > taps


def rewrite(_context: Context, _site: Run, _options: GriddingOptions) -> tuple[Rewrite, ...]:
    """Return no rewrite: nothing is saved."""
    return ()


def advise(context: Context, sites: tuple[Run, ...], _options: GriddingOptions) -> contract.Advice:
    """Word the finding by its longest row."""
    site = max(sites, key=lambda site: len(site.rates))
    rates = ", ".join(map(str, site.rates))
    divisor = math.gcd(*site.rates)
    axes = sum(k > 1 for k in _op(context, site).kernel)
    why = (
        f"all are multiples of {divisor}, so an output sees one input in {divisor**axes} of its field"
        if divisor > 1
        else "they grow faster than 3 taps cover"
    )
    return contract.Advice(
        message=f"{len(site.rates)} dilated convs in a row with rates {rates}: {why}",
        instead=f"nn.{_layer(context, site)}(…, dilation=r) with r = 1, 2, 3 or 1, 2, 5 in turn",
        risk="another function, retrain; a smell only: shortcuts and earlier layers fill holes in "
        "part, and growing rates helped DeepLabv3",
    )


def _op(context: Context, site: Run) -> ir.Conv:
    op = context.graph[site.anchor].op
    assert isinstance(op, ir.Conv)
    return op


def _layer(context: Context, site: Run) -> str:
    return drafting.conv_code(_op(context, site)).partition("(")[0].removeprefix("nn.")


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL103",
        name="gridding",
        summary="dilated 3x3 convs in a row whose rates leave holes",
        severity=Severity.INFO,
        exact=False,
        since="0.2.0",
        gated=False,
        yields_to=("CL102",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=GriddingOptions,
)
