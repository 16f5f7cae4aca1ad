"""CL421 repeated-input-channels: a layer that reads the same channels several times.

What it does
------------
Finds dense convolutions and linear layers whose input channels are copies of fewer channels:
expanded, repeated, concatenated with themselves or picked twice.

Why it costs
------------
Each copy is multiplied by weights of its own and the products are summed: the sum of the weights
times the one channel is the same. A grey image repeated to three channels costs the first layer
three times what it needs.

Example
-------
    self.stem = nn.Conv2d(3, 64, 7, stride=2, padding=3)
    x = self.stem(grey.repeat(1, 3, 1, 1))

Use instead
-----------
    self.stem = nn.Conv2d(1, 64, 7, stride=2, padding=3)
    x = self.stem(grey)

    old["stem.weight"] = old["stem.weight"].sum(1, keepdim=True)  # once, for old checkpoints

Savings
-------
MACs and weights times 1 - (distinct channels / channels), 67 % for grey to RGB, and the bytes of
the copies.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
resnet18's stem on a grey image repeated three times: 0.82, 1.17, 0.46, 0.66.

When not to apply
-----------------
Silent where the copies pass through anything but data movement before the layer (a norm, an
activation), where others read the copies too, where channels of the source are left out, on
grouped and computed kernels, and where the layer's weights also serve calls whose input is
repeated otherwise.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, OpenVINO, TVM, XLA, Inductor, coremltools).

Options
-------
None.

References
----------
Linearity of the convolution; timm sums the stem's weights in the same way when it loads RGB
weights into a model of one channel (adapt_input_conv).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, mixers
from convlint.analysis.origins import Origin, origins
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

SUFFIX = "once"


@dataclass(frozen=True, slots=True)
class Repeated:
    """A layer and where its input channels come from; fewer than it reads."""

    anchor: str
    nodes: tuple[str, ...]
    origin: Origin


def find(context: Context, _options: contract.Options) -> Iterator[Repeated]:
    """Yield dense layers of whose input channels some are equal."""
    for node in context.graph:
        origin = _repeated(context.graph, node)
        if origin is not None:
            moved = sorted(origin.moved, key=context.graph.order.__getitem__)
            yield Repeated(node.id, (*moved, node.id), origin)


def _repeated(graph: ModelGraph, node: Node) -> Origin | None:
    """Return the origin with the fewest channels, None where no channel is read twice."""
    axis = mixers.mixed_axis(graph, node)
    if axis is None:
        return None
    found = [o for o in origins(graph, node, axis) if len(set(o.channels)) < len(o.channels)]
    whole = [o for o in found if o.reads_all]
    return min(whole or found, key=lambda origin: origin.total, default=None)


def guard(context: Context, site: Repeated, _options: contract.Options) -> Refusal | None:
    """Refuse where weights are not the layer's alone or where nothing is gained."""
    node, origin = context.graph[site.anchor], site.origin
    if mixers.weight_of(node) is None:
        return Refusal("its weight is computed in forward", site.nodes)
    if not origin.reads_all:
        left = origin.total - len(set(origin.channels))
        return Refusal(f"{left} of {origin.total} channels of the source are left out", site.nodes)
    for other in mixers.sharing(context.graph, node):
        same = _repeated(context.graph, other)
        if same is None or same.channels != origin.channels:
            where = other.module or other.id
            return Refusal(f"{where} uses the same weight on other channels", (other.id,))
    saved = context.saves(_edit(context.graph, site))
    if saved.macs <= 0:
        return Refusal("it would save no MACs", site.nodes)
    return None


def rewrite(context: Context, site: Repeated, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the layer that reads every channel once, with the sums of the weights."""
    label = f"each of the {site.origin.total} channels once"
    return (Rewrite(label, _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Repeated) -> GraphEdit:
    node, origin = graph[site.anchor], site.origin
    axis = mixers.mixed_axis(graph, node)
    assert axis is not None
    source = origin.sources[0]
    joined: tuple[Node, ...] = ()
    spec = graph.spec(source)
    shape = (*spec.shape[:axis], origin.total, *spec.shape[axis + 1 :])
    if len(origin.sources) > 1:
        made = _join(node, origin, axis, TensorSpec(shape, spec.dtype))
        source, joined = Ref(made.id), (made,)
    layer = mixers.with_channels(node, SUFFIX, source, shape, origin.total)
    removed = frozenset({*origin.moved, node.id})
    return GraphEdit(removed, (*joined, layer), {Ref(node.id): Ref(layer.id)})


def _join(node: Node, origin: Origin, axis: int, spec: TensorSpec) -> Node:
    made = drafting.draft(node, "joined", ir.Concat(axis), origin.sources[0], spec)
    return Node(made.id, made.op, origin.sources, made.outputs, made.module)


def advise(
    context: Context, sites: tuple[Repeated, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest layer."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    node, origin = context.graph[site.anchor], site.origin
    edit = _edit(context.graph, site)
    count, total = mixers.read_channels(node), origin.total
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} places)"
    return contract.Advice(
        message=f"{mixers.words(node)} reads {count} channels that are copies of {total}{among}: the "
        f"sums of its weights do the same on the {total}",
        instead=f"{mixers.code(edit.added[-1])}\n# without the copies; old checkpoints, once:\n"
        f"{_mapping(node, origin)}",
        risk="same function; weights of old checkpoints are summed over the copies",
    )


def _mapping(node: Node, origin: Origin) -> str:
    """Return code that makes the new weight of the old one."""
    weight = mixers.weight_of(node)
    key = f'old["{weight.name if weight else "weight"}"]'
    axis = 0 if isinstance(node.op, ir.Conv) and node.op.transposed else 1
    if origin.total == 1:
        return f"{key} = {key}.sum({axis}, keepdim=True)"
    return (
        f"w, places = {key}, {mixers.indices(origin.channels)}\n"
        f"{key} = w.new_zeros({_shape(node, origin.total)}).index_add_({axis}, places, w)"
    )


def _shape(node: Node, channels: int) -> str:
    """Return the new weight's shape, "32, 16, 3, 3"."""
    op = node.op
    if isinstance(op, ir.Linear):
        return f"{op.out_features}, {channels}"
    assert isinstance(op, ir.Conv)
    sizes = (channels, op.out_channels) if op.transposed else (op.out_channels, channels)
    return ", ".join(map(str, (*sizes, *op.kernel)))


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL421",
        name="repeated-input-channels",
        summary="a dense layer that reads copies of the same channels",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.repeated_input_channels.apply:weights",
)
