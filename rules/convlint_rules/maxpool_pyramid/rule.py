"""CL412 maxpool-pyramid: parallel max-pools of one map, where each could start from the last.

What it does
------------
Finds max-pools of stride 1 with odd, growing windows on one tensor: spatial pyramid pooling with
5, 9 and 13.

Why it costs
------------
Each looks at its whole window: 25 + 81 + 169 values for each position. The maximum over 9x9 is the
maximum over 5x5 of the maxima over 5x5, so three times 25 are enough.

Example
-------
    self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))
    x = torch.cat([x, *(pool(x) for pool in self.pools)], 1)

Use instead
-----------
    self.pool = nn.MaxPool2d(5, 1, 2)
    a = self.pool(x)
    b = self.pool(a)
    x = torch.cat([x, a, b, self.pool(b)], 1)

Savings
-------
Comparisons: the sum of the windows becomes the sum of (difference + 1) on each axis, 275 to 75 for
5, 9 and 13. No MACs, weights or bytes.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
SPP of max pools 5, 9, 13: 0.38, 0.80, 0.69, 0.87.

When not to apply
-----------------
Silent on strides, dilations, even windows, paddings other than half the window, average pools
(an average of averages is another one at the borders), pools whose indices are returned, and
chains that are chains already (SPPF).

Already done by
---------------
Nobody of those looked at. ultralytics builds SPPF in this form.

Options
-------
min-share = 0.001: least share of the model's operations, MACs and others, that it saves.

References
----------
The maximum over a union is the maximum of the maxima; YOLOv5's SPPF.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting
from convlint.analysis.readers import source_of
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "chained"


class MaxPoolPyramidOptions(contract.Options, frozen=True):
    """Options of CL412."""

    min_share: float = 0.001


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Max-pools of one tensor, the smallest first, and the windows of the chain."""

    anchor: str
    nodes: tuple[str, ...]
    windows: tuple[ir.Ints, ...]
    chained: tuple[ir.Ints, ...]


def find(context: Context, _options: MaxPoolPyramidOptions) -> Iterator[Pyramid]:
    """Yield tensors that several max-pools of stride 1 read."""
    groups: dict[Ref, list[Node]] = {}
    for node in context.graph:
        if _is_centred(node):
            groups.setdefault(source_of(context.graph, node.inputs[0]), []).append(node)
    for members in groups.values():
        pools = _growing(members)
        if len(pools) > 1:
            windows = tuple(_kernel(node) for node in pools)
            steps = pairwise(windows)
            chained = (windows[0], *(_step(small, large) for small, large in steps))
            yield Pyramid(pools[-1].id, tuple(node.id for node in pools), windows, chained)


def _is_centred(node: Node) -> bool:
    """Tell a max-pool of stride 1 whose odd window lies around its position."""
    op = node.op
    if not isinstance(op, ir.Pool) or op.type != "max" or op.adaptive or not op.kernel:
        return False
    plain = set(op.stride) == {1} and set(op.dilation) <= {1} and len(node.outputs) == 1
    return plain and all(2 * p + 1 == k for k, p in zip(op.kernel, op.padding, strict=True))


def _kernel(node: Node) -> ir.Ints:
    assert isinstance(node.op, ir.Pool)
    return node.op.kernel


def _growing(pools: list[Node]) -> list[Node]:
    """Return pools of which each window holds the one before and is larger."""
    found: list[Node] = []
    for node in sorted(pools, key=lambda node: math.prod(_kernel(node))):
        small = _kernel(found[-1]) if found else (0,) * len(_kernel(node))
        sides = list(zip(small, _kernel(node), strict=True))
        if all(a <= b for a, b in sides) and any(a < b for a, b in sides):
            found.append(node)
    return found


def _step(small: ir.Ints, large: ir.Ints) -> ir.Ints:
    """Return the window that makes the large one of the small one."""
    return tuple(b - a + 1 for a, b in zip(small, large, strict=True))


def guard(context: Context, site: Pyramid, options: MaxPoolPyramidOptions) -> Refusal | None:
    """Refuse what saves little."""
    saved = context.saves(_edit(context.graph, site)).other_ops
    total = context.cost.macs + context.cost.other_ops
    if saved <= 0 or saved < options.min_share * total:
        share = saved / total if total else 0
        what = f"it would save {share:.2%} of the operations, under {options.min_share:.2%}"
        return Refusal(what, site.nodes)
    return None


def rewrite(
    context: Context, site: Pyramid, _options: MaxPoolPyramidOptions
) -> tuple[Rewrite, ...]:
    """Return the chain, in which each pool reads the one before it."""
    return (Rewrite("a chain", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Pyramid) -> GraphEdit:
    last = Ref(site.nodes[0])
    added = []
    for key, window in zip(site.nodes[1:], site.chained[1:], strict=True):
        op = graph[key].op
        assert isinstance(op, ir.Pool)
        new = msgspec.structs.replace(
            op, kernel=window, padding=tuple(k // 2 for k in window), whole=False
        )
        added.append(
            msgspec.structs.replace(graph[key], id=f"{key}~{SUFFIX}", op=new, inputs=(last,))
        )
        last = Ref(added[-1].id)
    redirect = {Ref(key): Ref(node.id) for key, node in zip(site.nodes[1:], added, strict=True)}
    return GraphEdit(frozenset(site.nodes[1:]), tuple(added), redirect)


def advise(
    context: Context, sites: tuple[Pyramid, ...], _options: MaxPoolPyramidOptions
) -> contract.Advice:
    """Word the finding by the place with the largest map."""
    site = max(sites, key=lambda site: context.cost.nodes[site.anchor].other_ops)
    node = context.graph[site.anchor]
    names = [drafting.extent(window) for window in site.windows]
    before = sum(math.prod(window) for window in site.windows)
    after = sum(math.prod(window) for window in site.chained)
    kinds = list(dict.fromkeys(drafting.extent(window) for window in site.chained))
    return contract.Advice(
        message=f"max-pools of {', '.join(names[:-1])} and {names[-1]} read one "
        f"{drafting.extent(node.output.shape[1:])} map: {before} comparisons an element, where a "
        f"chain of {' and '.join(kinds)} makes {after}",
        instead=_code(site),
        risk="same function, borders included; there are no weights; the pools then run one after "
        "the other",
    )


def _code(site: Pyramid) -> str:
    """Return the pools of the chain and their calls."""
    made: dict[ir.Ints, str] = {}
    lines = []
    for window in site.chained:
        if window not in made:
            made[window] = "pool" if len(set(site.chained)) == 1 else f"pool{len(made) + 1}"
            size = drafting.short(window)
            padding = drafting.short([k // 2 for k in window])
            kind = f"nn.MaxPool{len(window)}d"
            lines.append(f"self.{made[window]} = {kind}({size}, stride=1, padding={padding})")
    source = "x"
    for place, window in enumerate(site.chained, 1):
        lines.append(f"y{place} = self.{made[window]}({source})")
        source = f"y{place}"
    return "\n".join(lines)


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL412",
        name="maxpool-pyramid",
        summary="parallel max-pools of one map that could be a chain",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        gated=False,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=MaxPoolPyramidOptions,
)
