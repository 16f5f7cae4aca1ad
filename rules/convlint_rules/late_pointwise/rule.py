"""CL602 late-pointwise: a wide 1x1 convolution right before global average pooling.

What it does
------------
Finds 1x1 convolutions followed by a norm and an activation and then by global average pooling,
that hold at least 5 % of the model's MACs.

Why it costs
------------
The layer runs on every position of the map, and only the mean over them is used. Behind the
pooling it runs on one.

Example
-------
    x = self.act(self.norm(self.conv(x)))      # 320 -> 1280 on 7x7
    x = self.pool(x)

Use instead
-----------
    x = self.pool(x)
    x = self.act(self.conv(x))                 # 320 -> 1280 on 1x1

Savings
-------
MACs of the layer times 1 - 1/positions: 98 % on 7x7.

When not to apply
-----------------
The activation then acts on the mean and not on each position: another function, retrain.
MobileNetV3 (5.1) made this change with almost no loss of accuracy, for 11 % of its time. Silent
where nothing but linear layers stand between (CL401 moves those exactly), and where the features
are used elsewhere.

Already done by
---------------
Nobody: it is another function.

Options
-------
min-share = 0.05: least share of the model's MACs that the layer holds.

References
----------
Howard et al., Searching for MobileNetV3, arXiv 1905.02244 (5.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec


class LatePointwiseOptions(contract.Options, frozen=True):
    """Options of CL602."""

    min_share: float = 0.05


@dataclass(frozen=True, slots=True)
class Late:
    """A 1x1 conv, what follows it pointwise, and the global pooling; all in ``nodes``."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv


def find(context: Context, _options: LatePointwiseOptions) -> Iterator[Late]:
    """Yield 1x1 convs from which pointwise layers lead to a global average pooling."""
    for node, op in neighbours.convs(context.graph):
        if op.taps != 1 or max(op.stride) > 1 or op.transposed:
            continue
        row = _to_pool(context.graph, node)
        if row and any(isinstance(one.op, ir.Activation) for one in row):
            yield Late(node.id, tuple(one.id for one in row), op)


def _to_pool(graph: ModelGraph, node: Node) -> tuple[Node, ...]:
    """Return the layer, what follows it alone and the pooling; nothing where there is none."""
    row = [node]
    while True:
        user = neighbours.only_user(graph, row[-1])
        if user is None:
            return ()
        row.append(user)
        if _is_global_mean(graph, user):
            return tuple(row)
        if not isinstance(user.op, neighbours.POINTWISE):
            return ()


def _is_global_mean(graph: ModelGraph, node: Node) -> bool:
    shape = graph.input_specs(node)[0].shape
    if isinstance(node.op, ir.Pool):
        return node.op.type == "avg" and node.op.whole
    every = tuple(range(2, len(shape)))
    return isinstance(node.op, ir.Reduce) and (node.op.fn, node.op.axes) == ("mean", every)


def guard(context: Context, site: Late, options: LatePointwiseOptions) -> Refusal | None:
    """Refuse layers that hold little, run on one position, or whose norm looks at the map."""
    graph = context.graph
    share = context.cost.macs_of(site.anchor) / max(1, context.cost.macs)
    size = graph[site.anchor].output.shape[2:]
    norms = [graph[key].op for key in site.nodes if isinstance(graph[key].op, ir.Norm)]
    reasons = {
        "its map is 1x1": math.prod(size) == 1,
        f"it holds {share:.1%} of the MACs, under {options.min_share:.0%}": share
        < options.min_share,
        "its kernel is computed, not a parameter": site.op.computed_weight,
        "its norm is taken over the map": any(
            isinstance(norm, ir.Norm) and norm.type != "batch" for norm in norms
        ),
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    return Refusal(reason, site.nodes) if reason is not None else None


def rewrite(context: Context, site: Late, _options: LatePointwiseOptions) -> tuple[Rewrite, ...]:
    """Return the pooling first, then the same layers on its one position."""
    graph = context.graph
    row = [graph[key] for key in site.nodes]
    conv, pool = row[0], row[-1]
    n, channels = graph.spec(conv.inputs[0]).shape[:2]
    ones = (1,) * (len(conv.output.shape) - 2)
    dtype = conv.output.dtype
    axes = tuple(range(2, len(conv.output.shape)))
    mean = drafting.draft(
        conv,
        "mean",
        ir.Reduce("mean", axes, keepdim=True),
        conv.inputs[0],
        TensorSpec((n, channels, *ones), dtype),
    )
    made = [mean]
    for one in row[:-1]:
        shape = (n, one.output.shape[1], *ones)
        made.append(_moved(one, Ref(made[-1].id), TensorSpec(shape, dtype)))
    if len(pool.output.shape) == 2:
        made.append(drafting.draft(pool, "flat", ir.Reshape(), Ref(made[-1].id), pool.output))
    edit = GraphEdit(frozenset(site.nodes), tuple(made), {Ref(pool.id): Ref(made[-1].id)})
    return (Rewrite("pool first", edit),)


def _moved(node: Node, source: Ref, spec: TensorSpec) -> Node:
    return msgspec.structs.replace(
        node,
        id=f"{node.id}~pooled",
        inputs=(source, *node.inputs[1:]),
        outputs=(spec,),
        inplace=False,
    )


def advise(
    context: Context, sites: tuple[Late, ...], options: LatePointwiseOptions
) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    node = context.graph[site.anchor]
    size = drafting.extent(node.output.shape[2:])
    share = context.cost.macs_of(site.anchor) / context.cost.macs
    return contract.Advice(
        message=f"1x1 {drafting.channels(site.op)} runs on {size} ({share:.1%} of the MACs, told from "
        f"{options.min_share:.0%}), and global average pooling keeps one position of it: pool first",
        instead=f"x = x.mean({tuple(range(2, len(node.output.shape)))}, keepdim=True)  # first\n"
        f"x = act({drafting.conv_code(site.op)}(x))  # the same layers, on 1x1",
        risk="the activation then acts on the mean: another function, retrain; MobileNetV3 (5.1) "
        "names almost no loss",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL602",
        name="late-pointwise",
        summary="a wide 1x1 conv right before global average pooling",
        severity=Severity.INFO,
        exact=False,
        since="0.2.0",
        yields_to=("CL401",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=LatePointwiseOptions,
)
