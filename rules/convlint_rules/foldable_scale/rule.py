"""CL413 foldable-scale: a product with constants after a layer whose weights could hold them.

What it does
------------
Finds products with a number or with a constant tensor, one value a channel, after a convolution,
a transposed convolution, a linear layer or a batch norm: layer scale, scaled residuals, scale
layers. Between the two may stand dropout, reshapes, permutations, average pooling,
interpolation, zero padding and means; ReLU and max pooling where the factor is a positive number.

Why it costs
------------
The product reads the whole map and writes it again. Weights and bias times the factor give the
same result from the layer alone.

Example
-------
    x = shortcut + self.gamma * self.project(x)

Use instead
-----------
    x = shortcut + self.project(x)

    old["project.weight"] *= old["gamma"].view(-1, 1, 1, 1)  # once, after training
    old["project.bias"] *= old.pop("gamma").flatten()

Savings
-------
One read and one write of the map, an operation an element, one kernel, and the factors where they
are parameters. No MACs.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
convnext_tiny's first stage: 0.97, 0.98, 0.97, 1.02.

When not to apply
-----------------
While training, where layer scale steers how blocks start. Left alone where the factor varies
over positions, where it or the layer is used elsewhere too, where others read a tensor in
between, behind other activations (SiLU, GELU, ReLU6, ...), behind norms that undo a factor, and
behind ReLU where the sign of the factor is not known.

Already done by
---------------
ONNX Runtime, OpenVINO, TVM and Inductor when it freezes weights; PyTorch as it is does not.

Options
-------
None.

References
----------
Linearity of the layer. huggingface/pytorch-image-models#1747: convnext_tiny without its layer
scale, 2208 to 2382 images/s on an RTX 3090 (AMP, eager).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from convlint_rules.foldable_scale import scales
from convlint_rules.foldable_scale.scales import Scaled

from convlint import contract
from convlint.analysis import drafting, mixers, rescaling
from convlint.analysis.readers import left_unread
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "scaled"


def find(context: Context, _options: contract.Options) -> Iterator[Scaled]:
    """Yield products with constants that come after a layer with weights."""
    yield from scales.scaled(context.graph)


def guard(context: Context, site: Scaled, _options: contract.Options) -> Refusal | None:
    """Refuse factors that the layer cannot hold, and what others need as it is."""
    graph, layer, scale = context.graph, context.graph[site.anchor], site.scale
    refusal = _unfit(graph, site) or _tapped(graph, site)
    if refusal is not None:
        return refusal
    if not rescaling.has_own_weight(layer):
        what = "weight" if isinstance(layer.op, ir.Norm) else "weight of its own"
        return Refusal(f"{layer.module or layer.id} has no {what} to take the factor", (layer.id,))
    blocked = scales.obstacle(graph, site)
    if blocked is not None:
        return Refusal(blocked[1], (blocked[0].id,))
    users = {other.id for other in mixers.sharing(graph, layer)} | _scale_users(graph, site)
    alike = {key for other in _alike(graph, site) for key in (other.anchor, other.scale.node.id)}
    for key in sorted(users - alike, key=graph.order.__getitem__):
        what = "the layer" if isinstance(graph[key].op, type(layer.op)) else "the factor"
        where = graph[key].module or key
        return Refusal(f"{where} uses {what} too, without the other", (key, scale.node.id))
    return None


def _unfit(graph: ModelGraph, site: Scaled) -> Refusal | None:
    scale, layer = site.scale, graph[site.anchor]
    if scale.tensor is None or scale.axis is None:
        return None
    shape = drafting.extent(graph.spec(scale.tensor).shape)
    if scale.axis < 0:
        return Refusal(f"the factor of {shape} varies over more than one axis", site.nodes)
    if site.axis != rescaling.channel_axis(layer):
        return Refusal(f"the factor of {shape} does not vary over the layer's channels", site.nodes)
    return None


def _tapped(graph: ModelGraph, site: Scaled) -> Refusal | None:
    for key, reader in zip(site.nodes, site.nodes[1:], strict=False):
        others = [user.id for user in graph.users(graph[key]) if user.id != reader]
        if others:
            where = graph[key].module or key
            return Refusal(f"others read the result of {where} too", tuple(others))
    return None


def _scale_users(graph: ModelGraph, site: Scaled) -> set[str]:
    """Return who reads the factor, or what it is computed from, apart from that computation."""
    if site.scale.tensor is None:
        return set()
    made = _ancestors(graph, site.scale.tensor)
    storages = {param.storage for key in made for param in graph[key].params}
    made |= {node.id for node in graph.holders(storages)}
    return {user.id for key in made for user in graph.users(graph[key])} - made


def _ancestors(graph: ModelGraph, ref: Ref) -> set[str]:
    found: set[str] = set()
    waiting = [ref.node]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += [source.node for source in graph[key].inputs]
    return found


def _alike(graph: ModelGraph, site: Scaled) -> Iterator[Scaled]:
    """Yield this site, and calls of the same layer with the same factor."""
    yield site
    if len(mixers.sharing(graph, graph[site.anchor])) == 1:
        return
    for other in scales.scaled(graph):
        same = _key(graph, other) == _key(graph, site)
        if same and _tapped(graph, other) is None and scales.obstacle(graph, other) is None:
            yield other


def _key(graph: ModelGraph, site: Scaled) -> object:
    scale = site.scale
    weight = mixers.weight_of(graph[site.anchor])
    value = None if scale.tensor is None else scales.signature(graph, scale.tensor)
    return weight, scale.number, value, scale.inverse, site.axis


def rewrite(context: Context, site: Scaled, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the layer with the factor in its weights."""
    return (Rewrite("the factor in the weights", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Scaled) -> GraphEdit:
    scale = site.scale
    layer = rescaling.renewed(graph[site.anchor], SUFFIX)
    made = () if scale.tensor is None else (scale.tensor,)
    removed = left_unread(graph, {site.anchor, scale.node.id}, made)
    redirect = {Ref(scale.node.id): scale.data, Ref(site.anchor): Ref(layer.id)}
    return GraphEdit(removed, (layer,), redirect)


def advise(
    context: Context, sites: tuple[Scaled, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest map."""
    graph = context.graph
    site = max(sites, key=lambda site: site.scale.node.output.elements)
    layer, scale = graph[site.anchor], site.scale
    size = drafting.extent(scale.node.output.shape)
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} places)"
    return contract.Advice(
        message=f"{_factor(site, layer)} multiplies {size} after the {rescaling.words(layer)}"
        f"{among}: weights times the factor do the same without a pass over the map",
        instead=f"{rescaling.code(layer)}  # as it is, without the product; once, after training:\n"
        f"{_mapping(graph, site, layer)}",
        risk="same function in eval mode; weights of old checkpoints are multiplied once; train "
        "with the factor and fold it afterwards",
    )


def _factor(site: Scaled, layer: Node) -> str:
    if site.scale.number is not None:
        return f"the number {site.scale.number:.6g}"
    if site.scale.axis is None:
        return "one constant"
    return f"a constant for each of the {rescaling.out_channels(layer)} channels"


def _mapping(graph: ModelGraph, site: Scaled, layer: Node) -> str:
    """Return code that multiplies the old weights."""
    scale, weight = site.scale, mixers.weight_of(layer)
    assert weight is not None
    names = [param.name for param in layer.params if param.role == "bias"]
    keys = [f'old["{name}"]' for name in (weight.name, *names)]
    if scale.tensor is None:
        return "\n".join(f"{key} *= {scale.number:.6g}" for key in keys)
    source = graph[scale.tensor.node]
    while source.inputs and isinstance(source.op, (ir.Reshape, ir.Permute, ir.Identity)):
        source = graph[source.inputs[0].node]
    stored = [param.name for param in source.params]
    value = f'old.pop("{stored[0]}").flatten()' if stored else "...  # its values, flat"
    sign = "/=" if scale.inverse else "*="
    lines = [f"scale = {value}", f"{keys[0]} {sign} scale{_spread(layer)}"]
    return "\n".join([*lines, *(f"{key} {sign} scale" for key in keys[1:])])


def _spread(layer: Node) -> str:
    """Return how a factor a channel is laid over the weight: ".view(-1, 1, 1, 1)"."""
    op = layer.op
    if isinstance(op, ir.Norm):
        return ""
    if isinstance(op, ir.Linear):
        return "[:, None]"
    taps = ", 1" * len(op.kernel) if isinstance(op, ir.Conv) else ""
    transposed = isinstance(op, ir.Conv) and op.transposed
    return f".view(1, -1{taps})" if transposed else f".view(-1, 1{taps})"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL413",
        name="foldable-scale",
        summary="a product with constants after a layer whose weights could hold them",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
        done_by=("onnxruntime", "openvino", "tvm", "inductor"),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.foldable_scale.apply:weights",
)
