"""CL416 parallel-convs: convolutions of one geometry that read the same map one after the other.

What it does
------------
Under GPU profiles, finds two or more dense convolutions on one tensor with equal kernel, stride, padding and
dilation: the 1x1 branches of Inception, the fuse layers of HRNet, the first layers of detection
towers.

Why it costs
------------
Each reads the whole map again and is a kernel of its own with a part of the output channels. On
a GPU small kernels leave the device idle between and while they run. One convolution with all
the output channels does the same products; its result is split, which copies nothing.

Example
-------
    self.scores = nn.Conv2d(256, 80, 3, padding=1)
    self.boxes = nn.Conv2d(256, 4, 3, padding=1)
    scores, boxes = self.scores(x), self.boxes(x)

Use instead
-----------
    self.both = nn.Conv2d(256, 84, 3, padding=1)
    scores, boxes = self.both(x).split([80, 4], 1)

    old["both.weight"] = torch.cat([old["scores.weight"], old["boxes.weight"]])  # and the biases

Savings
-------
No MACs. Of n convolutions n - 1 reads of the map and n - 1 kernels.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
googlenet's first inception block: 1.00, 0.87, 1.04, 1.01.

When not to apply
-----------------
Silent where the results are summed (then one convolution of the same width holds them all),
where a weight also serves calls on other maps that the others do not, on grouped, transposed
and computed kernels. The results of a split are not contiguous for batches over 1.

Already done by
---------------
TensorRT and TVM merge such convolutions; Inductor merges linear layers only.

Options
-------
None.

References
----------
TVM, CombineParallelConv2D; ShuffleNetV2, arXiv 1807.11164 (G3, Table 3: fragments on a GPU).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, mixers
from convlint.analysis.readers import last_readers
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

SUFFIX = "joined"


@dataclass(frozen=True, slots=True)
class Parallel:
    """Convolutions on one tensor, in execution order."""

    anchor: str
    nodes: tuple[str, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Parallel]:
    """Yield the groups of two convolutions or more, where the target is a GPU."""
    if not context.target.holds("gpu"):
        return
    for members in _groups(context.graph):
        yield Parallel(members[0].id, tuple(node.id for node in members))


def _groups(graph: ModelGraph) -> list[tuple[Node, ...]]:
    """Return convolutions of one input and geometry, those with one weight once."""
    found: dict[tuple[Ref, ir.Conv], dict[str, Node]] = {}
    for node in graph:
        op, weight = node.op, mixers.weight_of(node)
        if not isinstance(op, ir.Conv) or weight is None or weight.buffer:
            continue
        if op.groups == 1 and not op.transposed and not op.computed_weight:
            alike = msgspec.structs.replace(op, out_channels=1, bias=False, padding_word="")
            found.setdefault((node.inputs[0], alike), {}).setdefault(weight.storage, node)
    return [tuple(members.values()) for members in found.values() if len(members) > 1]


def guard(context: Context, site: Parallel, _options: contract.Options) -> Refusal | None:
    """Refuse sums, and weights that other calls need apart."""
    graph = context.graph
    members = [graph[key] for key in site.nodes]
    sums = [total for node in members if (total := _sum_of(graph, node))]
    if len(set(sums)) < len(sums):
        return Refusal(
            "their results are summed: one conv of the same width holds them", site.nodes
        )
    key = _storages(members)
    partners = [group for group in _groups(graph) if _storages(group) == key]
    together = {node.id for group in partners for node in group}
    for node in members:
        for other in mixers.sharing(graph, node):
            if other.id not in together:
                where = other.module or other.id
                return Refusal(f"{where} is also called on another map", (other.id,))
    return None


def _sum_of(graph: ModelGraph, node: Node) -> str:
    """Return the last addition that a result alone goes into, through norms and additions."""
    last = ""
    while True:
        users = last_readers(graph, Ref(node.id))
        if len(users) != 1 or not isinstance(users[0].op, (ir.Norm, ir.Add)):
            return last
        node = users[0]
        last = node.id if isinstance(node.op, ir.Add) else last


def _storages(members: list[Node] | tuple[Node, ...]) -> tuple[str, ...]:
    return tuple(weight.storage for node in members if (weight := mixers.weight_of(node)))


def rewrite(context: Context, site: Parallel, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return one convolution and a split."""
    return (Rewrite("one conv and a split", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Parallel) -> GraphEdit:
    members = [graph[key] for key in site.nodes]
    first, ops = members[0], _ops(graph, site)
    widths = tuple(op.out_channels for op in ops)
    op = msgspec.structs.replace(
        ops[0], out_channels=sum(widths), bias=any(op.bias for op in ops), padding_word=""
    )
    shape = graph.spec(first.inputs[0]).shape
    conv = drafting.draft_conv(first, SUFFIX, op, first.inputs[0], shape)
    split = Node(
        id=f"{first.id}~parts",
        op=ir.Split(1, widths),
        inputs=(Ref(conv.id),),
        outputs=tuple(TensorSpec(node.output.shape, node.output.dtype) for node in members),
        module=first.module,
        called_at=first.called_at,
    )
    redirect = {Ref(node.id): Ref(split.id, place) for place, node in enumerate(members)}
    return GraphEdit(frozenset(site.nodes), (conv, split), redirect)


def _ops(graph: ModelGraph, site: Parallel) -> list[ir.Conv]:
    ops = [graph[key].op for key in site.nodes]
    return [op for op in ops if isinstance(op, ir.Conv)]


def advise(
    context: Context, sites: tuple[Parallel, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by the place with the most convolutions."""
    graph = context.graph
    site = max(sites, key=lambda site: len(site.nodes))
    ops = _ops(graph, site)
    new = _edit(graph, site).added[0]
    widths = ", ".join(str(op.out_channels) for op in ops)
    size = drafting.extent(graph.spec(new.inputs[0]).shape)
    among = "" if len(sites) == 1 else f" (at the largest of {len(sites)} places)"
    names = ", ".join(f"y{place}" for place in range(1, len(ops) + 1))
    return contract.Advice(
        message=f"{len(ops)} convs {drafting.extent(ops[0].kernel)} of {ops[0].in_channels} "
        f"channels to {widths} read the same {size}{among}: one conv reads it once, in one kernel",
        instead=f"{mixers.code(new)}\n{names} = conv(x).split([{widths}], 1)",
        risk="same function; weights and biases of old checkpoints are joined with torch.cat; "
        "TensorRT does this itself",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL416",
        name="parallel-convs",
        summary="convs of one geometry on one map: one conv and a split read it once",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        yields_to=("CL409",),
        done_by=("tensorrt", "tvm"),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.parallel_convs.apply:weights",
)
