"""CL414 norm-before-pointwise: a batch norm that the unpadded layer after it could hold.

What it does
------------
Finds batch norms that no layer before them can take in, because an activation, a sum, a
concatenation or a layer with other readers stands there, and that only convolutions without
padding and linear layers read. Between may stand dropout, reshapes, permutations, average pooling
without padding, interpolation and means.

Why it costs
------------
In eval mode a batch norm is a factor and a shift for each channel. Here no runtime merges it into
the layer before it, so that it reads the whole map and writes it again. The layer after it
multiplies each channel anyway: its weights times the factors, and a bias with the products of the
shifts, do the same.

Example
-------
    x = self.norm(torch.cat([a, b], 1))
    x = self.reduce(x)  # nn.Conv2d(256, 64, 1)

Use instead
-----------
    x = self.reduce(torch.cat([a, b], 1))

    scale = old["norm.weight"] / (old["norm.running_var"] + 1e-5).sqrt()  # once, after training
    shift = old["norm.bias"] - scale * old["norm.running_mean"]
    w = old["reduce.weight"]
    old["reduce.bias"] += (w * shift.view(1, -1, 1, 1)).sum((1, 2, 3))
    old["reduce.weight"] = w * scale.view(1, -1, 1, 1)

Savings
-------
One read and one write of the map, two operations an element, one kernel, the norm's parameters; a
layer without bias gets one. No MACs.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
inception_next_tiny's first stage: 0.94, 1.09, 0.95, 0.89.

When not to apply
-----------------
While training. Left alone before zero padding, which stands for zeros after the norm and not
before it (padding by reflection, replication or wrapping around is no obstacle), before
transposed convolutions, whose border positions sum fewer taps, and where the layer's weight
serves other calls too. Silent where a layer right before the norm could hold it.

Already done by
---------------
TVM, onnxscript, OpenVINO (the factor only), AIMET. ONNX Runtime, torch.fx and Inductor do not.

Options
-------
None.

References
----------
Linearity of the layer; TVM, FoldScaleAxis.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from convlint_rules.norm_before_pointwise.readers import Folded, Reader, folded

from convlint import contract
from convlint.analysis import drafting, mixers, rescaling
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "absorbed"


def find(context: Context, _options: contract.Options) -> Iterator[Folded]:
    """Yield batch norms that only convolutions and linear layers read."""
    yield from folded(context.graph)


def guard(context: Context, site: Folded, _options: contract.Options) -> Refusal | None:
    """Refuse layers whose borders would change, and weights that are not theirs alone."""
    graph = context.graph
    for reader in site.readers:
        node = graph[reader.node]
        why = _why_not(graph, node, reader)
        if why:
            return Refusal(why, (node.id,))
    if context.saves(_edit(graph, site)).bytes_moved <= 0:
        return Refusal("it would move no fewer bytes", site.nodes)
    return None


def _why_not(graph: ModelGraph, node: Node, reader: Reader) -> str:
    op, where = node.op, node.module or node.id
    if isinstance(op, ir.Conv) and op.transposed:
        return f"{where} is a transposed conv: fewer of its taps meet at the border"
    if isinstance(op, ir.Conv) and op.padding_mode == "zeros" and any(map(any, op.padding)):
        return f"{where} pads with zeros after the norm, which are no zeros before it"
    if not rescaling.has_own_weight(node):
        return f"the weight of {where} is computed in forward"
    if not reader.channels:
        return f"{where} does not read whole channels of the norm"
    others = [other for other in mixers.sharing(graph, node) if other.id != node.id]
    if others:
        return f"{others[0].module or others[0].id} uses the weight of {where} too"
    return ""


def rewrite(context: Context, site: Folded, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the layers with the norm in their weights."""
    return (Rewrite("the norm in the layer after it", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Folded) -> GraphEdit:
    norm = graph[site.anchor]
    readers = [graph[reader.node] for reader in site.readers]
    made = [rescaling.renewed(node, SUFFIX, bias=True) for node in readers]
    redirect = {Ref(old.id): Ref(new.id) for old, new in zip(readers, made, strict=True)}
    redirect[Ref(norm.id)] = norm.inputs[0]
    removed = frozenset({norm.id, *(node.id for node in readers)})
    return GraphEdit(removed, tuple(made), redirect)


def advise(
    context: Context, sites: tuple[Folded, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest map."""
    graph = context.graph
    site = max(sites, key=lambda site: graph[site.anchor].output.elements)
    norm, node = graph[site.anchor], graph[site.readers[0].node]
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} places)"
    more = "" if len(site.readers) == 1 else f" and {len(site.readers) - 1} more"
    new = _edit(graph, site).added[0]
    return contract.Advice(
        message=f"{rescaling.words(norm)} over {drafting.extent(norm.output.shape)}{among}, which "
        f"no layer before it can hold, is read by the {rescaling.words(node)}{more} alone, without "
        "zero padding: weights and bias there could hold it",
        instead=f"{rescaling.code(new)}  # without the norm before it; once, after training:\n"
        f"{_mapping(norm, node, site.readers[0])}",
        risk="same function in eval mode; weights of old checkpoints are multiplied once, and a "
        "bias is added; train with the norm and fold it afterwards",
    )


def _mapping(norm: Node, node: Node, reader: Reader) -> str:
    """Return code that makes the new weights of the old ones."""
    assert isinstance(norm.op, ir.Norm)
    assert isinstance(node.op, (ir.Conv, ir.Linear))
    roles = {param.role: f'old["{param.name}"]' for param in norm.params}
    over = f"({roles['running_var']} + {norm.op.eps:g}).sqrt()"
    lines = [f"scale = {roles.get('weight', '1')} / {over}"]
    lines.append(f"shift = {roles.get('bias', '0')} - scale * {roles['running_mean']}")
    weight = mixers.weight_of(node)
    key = weight.name if weight else "weight"
    bias = rescaling.bias_name(node)
    taps = len(node.op.kernel) if isinstance(node.op, ir.Conv) else 0
    if isinstance(node.op, ir.Conv) and node.op.groups > 1:
        groups, each = node.op.groups, node.op.out_channels // node.op.groups
        lay = f".view({groups}, -1).repeat_interleave({each}, 0).unflatten(1, (-1{', 1' * taps}))"
    else:
        lay = f".view(1, -1{', 1' * taps})"
    if reader.channels != tuple(range(len(reader.channels))):
        lines.append(
            f"scale, shift = (t[{mixers.indices(reader.channels)}] for t in (scale, shift))"
        )
    start = f'old["{bias}"] + ' if node.op.bias else ""
    lines += [
        f'w = old["{key}"]',
        f'old["{bias}"] = {start}(w * shift{lay}).flatten(1).sum(1)',
        f'old["{key}"] = w * scale{lay}',
    ]
    return "\n".join(lines)


def _picked(channels: tuple[int, ...]) -> str:
    """Return how the input channels pick the norm's: "" for all in order."""
    if channels == tuple(range(len(channels))):
        return ""
    times = channels.count(channels[0])
    if channels == tuple(place // times for place in range(len(channels))):
        return f".repeat_interleave({times})"
    return f"[{mixers.indices(channels)}]"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL414",
        name="norm-before-pointwise",
        summary="a batch norm that the unpadded layer after it could hold",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        yields_to=("CL415",),
        done_by=("tvm",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.norm_before_pointwise.apply:weights",
)
