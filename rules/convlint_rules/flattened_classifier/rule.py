"""CL303 flattened-classifier: a linear layer with a weight for every position of a map.

What it does
------------
Finds linear layers that read a flattened map of more than one position and hold at least 10 % of
the model's parameters and at least a million.

Why it costs
------------
VGG-16's first linear layer holds 103 M weights, 74 % of the model, for 0.7 % of its MACs: at batch
1 each of them is read from memory for one product, which is milliseconds of bandwidth.

Example
-------
    self.fc = nn.Linear(512 * 7 * 7, 4096)
    x = self.fc(torch.flatten(self.pool(x), 1))

Use instead
-----------
    self.fc = nn.Linear(512, 4096)
    x = self.fc(x.mean((2, 3)))

Savings
-------
Weights and MACs of the layer divided by the positions of the map. The alternative drops the
layers between it and the last one as well.

When not to apply
-----------------
Another function: retrain. GoogLeNet (section 5) gained 0.6 points of top-1 by going from
flattened to averaged features. Keep it where the place matters: keypoints, boxes, poses. Silent
where the map is 1x1 already, and where several last layers read the features (the classes and the
boxes of a detector).

Already done by
---------------
Nobody: it is another function.

Options
-------
min-param-share = 0.10: least share of the model's parameters.
min-params = 1000000: least parameters.

References
----------
Szegedy et al., Going Deeper with Convolutions, arXiv 1409.4842 (5); Lin et al., Network in
Network, arXiv 1312.4400 (3.2).
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
from convlint.ir.nodes import Node, Param, Ref, TensorSpec


class FlattenedOptions(contract.Options, frozen=True):
    """Options of CL303."""

    min_param_share: float = 0.10
    min_params: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Flattened:
    """A linear layer behind a flatten; ``source`` is the map's node, ``shape`` the map's."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Linear
    source: Ref
    shape: ir.Ints


def find(context: Context, _options: FlattenedOptions) -> Iterator[Flattened]:
    """Yield linear layers that read a flattened (N, C, positions) map."""
    for node in context.graph:
        if isinstance(node.op, ir.Linear):
            site = _flattened(context.graph, node, node.op)
            if site is not None:
                yield site


def _flattened(graph: ModelGraph, node: Node, op: ir.Linear) -> Flattened | None:
    between, ref = [], node.inputs[0]
    while isinstance(graph[ref.node].op, (ir.Identity, ir.Reshape)):
        one = graph[ref.node]
        between.append(one.id)
        ref = one.inputs[0]
        shape = graph.spec(ref).shape
        if isinstance(one.op, ir.Reshape) and len(shape) > 2:
            if math.prod(shape[1:]) != op.in_features or shape[0] != node.output.shape[0]:
                return None
            return Flattened(node.id, (*reversed(between), node.id), op, ref, shape)
    return None


def guard(context: Context, site: Flattened, options: FlattenedOptions) -> Refusal | None:
    """Refuse layers that hold little, whose map has one position, or whose weight is shared."""
    node = context.graph[site.anchor]
    params = context.cost.nodes[site.anchor].params
    share = params / max(1, context.cost.params)
    reasons = {
        "its map is 1x1": math.prod(site.shape[2:]) == 1,
        "its weight is computed": site.op.computed_weight,
        f"it holds {params} parameters, under {options.min_params}": params < options.min_params,
        f"it holds {share:.1%} of the parameters, under {options.min_param_share:.0%}": share
        < options.min_param_share,
        "it is called several times": neighbours_of(context.graph, node) > 1,
        "several heads read it: boxes need the place": _heads(context.graph, node) > 1,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    return Refusal(reason, site.nodes) if reason is not None else None


def neighbours_of(graph: ModelGraph, node: Node) -> int:
    """Return how many calls use the layer's weight."""
    return len(graph.holders(param.storage for param in node.params))


def _heads(graph: ModelGraph, node: Node) -> int:
    """Return how many last layers follow: a detector has one for classes and one for boxes."""
    last = neighbours.last_layers(graph)
    reached = {node.id}
    for other in graph.nodes[graph.order[node.id] :]:
        if any(ref.node in reached for ref in other.inputs):
            reached.add(other.id)
    return len(reached & last)


def rewrite(context: Context, site: Flattened, _options: FlattenedOptions) -> tuple[Rewrite, ...]:
    """Return the pooled layer and, where more linear layers follow, one layer for all of them."""
    node = context.graph[site.anchor]
    first = Rewrite("averaged features", _pooled(context.graph, site, node, site.op.out_features))
    chain = _following(context.graph, node)
    if len(chain) < 2:
        return (first,)
    last = chain[-1]
    assert isinstance(last.op, ir.Linear)
    edit = _pooled(context.graph, site, last, last.op.out_features, tuple(n.id for n in chain))
    return first, Rewrite("averaged features and one linear layer", edit)


def _following(graph: ModelGraph, node: Node) -> list[Node]:
    """Return the layer and what follows it alone, up to the last linear layer of the row."""
    row, last = [node], 0
    while True:
        user = neighbours.only_user(graph, row[-1])
        if user is None or not isinstance(user.op, (*neighbours.POINTWISE, ir.Linear)):
            return row[: last + 1]
        row.append(user)
        if isinstance(user.op, ir.Linear):
            last = len(row) - 1


def _pooled(
    graph: ModelGraph, site: Flattened, last: Node, out: int, more: tuple[str, ...] = ()
) -> GraphEdit:
    node = graph[site.anchor]
    n, channels = site.shape[:2]
    dtype = node.output.dtype
    axes = tuple(range(2, len(site.shape)))
    mean = drafting.draft(
        node, "mean", ir.Reduce("mean", axes), site.source, TensorSpec((n, channels), dtype)
    )
    op = msgspec.structs.replace(site.op, in_features=channels, out_features=out)
    linear = Node(
        id=f"{node.id}~pooled",
        op=op,
        inputs=(Ref(mean.id),),
        outputs=(TensorSpec((n, out), dtype),),
        module=node.module,
        params=_params(node, op),
        built_at=node.built_at,
        called_at=node.called_at,
    )
    lonely = [key for key in site.nodes if key == node.id or len(graph.users(graph[key])) == 1]
    removed = frozenset({*lonely, *more, node.id})
    return GraphEdit(removed, (mean, linear), {Ref(last.id): Ref(linear.id)})


def _params(node: Node, op: ir.Linear) -> tuple[Param, ...]:
    shapes = {"weight": (op.out_features, op.in_features), "bias": (op.out_features,)}
    return tuple(
        msgspec.structs.replace(
            param,
            name=f"{param.name}.pooled",
            storage=f"{param.storage}~pooled{op.out_features}",
            shape=shapes[param.role],
        )
        for param in node.params
        if param.role in shapes
    )


def advise(
    context: Context, sites: tuple[Flattened, ...], options: FlattenedOptions
) -> contract.Advice:
    """Word the finding by its largest layer."""
    site = max(sites, key=lambda site: context.cost.nodes[site.anchor].params)
    params = context.cost.nodes[site.anchor].params
    channels, places = site.shape[1], site.shape[2:]
    out = site.op.out_features
    return contract.Advice(
        message=f"Linear {site.op.in_features}->{out} reads a flattened "
        f"{channels}x{drafting.extent(places)} map and holds {params / 1e6:.1f} M parameters "
        f"({params / context.cost.params:.0%} of the model, told from "
        f"{options.min_param_share:.0%}); on averaged features it needs "
        f"{(channels + 1) * out / 1e6:.2f} M",
        instead=f"nn.Linear({channels}, {out})  # on x.mean({tuple(range(2, len(site.shape)))})",
        risk="another function, retrain: GoogLeNet gained 0.6 points of top-1 by it; keep it where "
        "the place in the map is the answer (keypoints, boxes)",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL303",
        name="flattened-classifier",
        summary="a linear layer with a weight for every position of a map",
        severity=Severity.WARNING,
        exact=False,
        since="0.2.0",
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=FlattenedOptions,
)
