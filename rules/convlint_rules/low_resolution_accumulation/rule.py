"""CL423 low-resolution-accumulation: upsampled maps that could be added before they grow.

What it does
------------
Finds sums with two or more terms that are upsampled in the same way from the same size, or
nearest neighbour upsampled by powers of two from sizes of which one is a multiple of the other.

Why it costs
------------
Interpolation is linear: up(a) + up(b) = up(a + b). Each upsampled term is a full map that is
written and read again, and the sum runs over all of it.

Example
-------
    up2, up4 = nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=4)
    y = a + up2(b) + up4(c)

Use instead
-----------
    y = a + up2(b + up2(c))

Savings
-------
Of each term but one the high-resolution map, written and read, and its part of the additions; an
interpolation where two terms have one size. No MACs.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
hrnet_w18_small's last exchange between branches: 0.89, 0.98, 0.88, 0.99.

When not to apply
-----------------
Bilinear (linear, trilinear, bicubic, area) from two sizes is left alone: interpolating in two
steps is another function (0.72 of the scale in a test). Silent where an upsampled term has other
readers, where terms are broadcast or of another dtype, and for nearest factors that are no powers
of two. The sum is taken in another order, which rounds differently in the last bit.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, OpenVINO, TVM, XLA, Inductor, coremltools).

Options
-------
None.

References
----------
Linearity of interpolation; the fuse layers of HRNet (arXiv 1908.07919).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from convlint_rules.low_resolution_accumulation import sums
from convlint_rules.low_resolution_accumulation.sums import Group, Sum

from convlint import contract
from convlint.analysis import drafting, pointwise
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

SUFFIX = "low"


@dataclass(frozen=True, slots=True)
class Accumulation:
    """A sum with at least two upsampled terms; ``groups`` are those that can be added first."""

    anchor: str
    nodes: tuple[str, ...]
    sum: Sum
    groups: tuple[Group, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Accumulation]:
    """Yield sums that two upsampled maps or more are added in."""
    graph = context.graph
    for total in sums.sums(graph):
        terms = sums.upsampled(graph, total)
        if len(terms) < 2:
            continue
        found = tuple(sums.groups(graph, total))
        members = [node for outer in found for group in outer for node in group.members] or terms
        ids = {node.id for node in (*total.adds, *total.others, *members)}
        nodes = sorted(ids, key=graph.order.__getitem__)
        first = min(members, key=lambda node: graph.order[node.id])
        yield Accumulation(first.id, tuple(nodes), total, found)


def guard(context: Context, site: Accumulation, _options: contract.Options) -> Refusal | None:
    """Refuse terms of which no two can be added before they grow."""
    graph = context.graph
    if not site.groups:
        terms = sums.upsampled(graph, site.sum)
        ways = sorted({_way(graph, node) for node in terms})
        many = [n.id for n in terms if len(graph.users(n)) > 1 or _twice(site.sum, n)]
        reason = "interpolating in steps is another function: " + ", ".join(ways)
        if len(ways) == 1 or many:
            reason = "the upsampled terms have other readers"
        return Refusal(reason, tuple(many or [n.id for n in terms]))
    if context.saves(_edit(graph, site)).bytes_moved <= 0:
        return Refusal("it would move no fewer bytes", site.nodes)
    return None


def _twice(total: Sum, node: Node) -> bool:
    return total.terms.count(Ref(node.id)) > 1


def _way(graph: ModelGraph, node: Node) -> str:
    """Return "bilinear from 14x14"."""
    assert isinstance(node.op, ir.Upsample)
    return f"{node.op.mode} from {drafting.extent(graph.spec(node.inputs[0]).shape[2:])}"


def rewrite(
    context: Context, site: Accumulation, _options: contract.Options
) -> tuple[Rewrite, ...]:
    """Return the same sum, taken at the lowest resolution that it can be taken at."""
    return (Rewrite("added before they grow", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Accumulation) -> GraphEdit:
    """Return the sum in another order: as many additions, each made where its terms are small."""
    making = _Making(graph, sums.additions(graph, site.sum, SUFFIX))
    grown = {node.id for outer in site.groups for group in outer for node in group.members}
    rest = [ref for ref in site.sum.terms if ref.node not in grown]
    for group in site.groups:
        rest.append(making.grow(group))
    root = site.sum.adds[-1]
    result = making.add(rest, root.output) if len(rest) > 1 else rest[0]
    removed = frozenset(site.nodes)
    return GraphEdit(removed, tuple(making.made), {Ref(root.id): result})


@dataclass(slots=True)
class _Making:
    """New nodes, named after the additions and upsamplings of the sum."""

    graph: ModelGraph
    adds: list[Node]
    made: list[Node]

    def __init__(self, graph: ModelGraph, adds: list[Node]) -> None:
        self.graph, self.adds, self.made = graph, adds, []

    def grow(self, group: Group, to: Group | None = None) -> Ref:
        """Return the sum of a group upsampled to the size of another, or all the way."""
        terms = [node.inputs[0] for node in group.members]
        terms += [self.grow(coarse, group) for coarse in group.coarser]
        like, op = group.members[0], group.op
        low = self.graph.spec(like.inputs[0])
        source = self.add(terms, low) if len(terms) > 1 else terms[0]
        spec = like.output
        if to is not None:
            op = msgspec.structs.replace(op, scale=sums.steps(group, to))
            spec = self.graph.spec(to.members[0].inputs[0])
        node = msgspec.structs.replace(
            like, id=f"{like.id}~{SUFFIX}", op=op, inputs=(source,), outputs=(spec,)
        )
        self.made.append(node)
        return Ref(node.id)

    def add(self, terms: list[Ref], spec: TensorSpec) -> Ref:
        """Return the sum of terms of one shape."""
        total = terms[0]
        for term in terms[1:]:
            like = self.adds.pop(0)
            node = msgspec.structs.replace(like, inputs=(total, term), outputs=(spec,))
            self.made.append(node)
            total = Ref(node.id)
        return total


def advise(
    context: Context, sites: tuple[Accumulation, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest sum."""
    graph = context.graph
    site = max(sites, key=lambda site: context.saves(_edit(graph, site)).bytes_moved)
    members = [node for outer in site.groups for group in outer for node in group.members]
    ways = ", ".join(dict.fromkeys(_way(graph, node) for node in members))
    size = drafting.extent(site.sum.adds[-1].output.shape)
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} sums)"
    return contract.Advice(
        message=f"{len(members)} upsampled maps are added at {size}{among} ({ways}): added before "
        "they grow, the sum is the same",
        instead=_code(site),
        risk="same function, old checkpoints load as they are",
    )


def _code(site: Accumulation) -> str:
    """Return the sum as an expression over a, b, c, ..., with the layers that it calls."""
    names = iter("abcdefghijklmnopqrstuvw")
    layers: dict[str, str] = {}
    grown = {node.id for outer in site.groups for group in outer for node in group.members}
    parts = [next(names, "z") for ref in site.sum.terms if ref.node not in grown]

    def word(group: Group, to: Group | None) -> str:
        inside = [next(names, "z") for _ in group.members]
        inside += [word(coarse, group) for coarse in group.coarser]
        op, size = group.op, group.members[0].output.shape[2:]
        if to is not None:
            op = msgspec.structs.replace(op, scale=sums.steps(group, to))
        target = pointwise.resize_target(op, size)
        factor = target.removeprefix("scale_factor=")
        name = f"up{factor}" if factor.isdigit() else "up"
        corners = ", align_corners=True" if op.align_corners else ""
        layers[name] = f"nn.Upsample({target}, mode={op.mode!r}{corners})"
        return f"{name}({' + '.join(inside)})"

    parts += [word(group, None) for group in site.groups]
    made = "".join(f"{name} = {layer}\n" for name, layer in sorted(layers.items()))
    return f"{made}y = {' + '.join(parts)}"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL423",
        name="low-resolution-accumulation",
        summary="upsampled maps that could be added before they grow",
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
)
