"""CL415 norm-after-concat: a batch norm over joined results of layers that could hold it.

What it does
------------
Finds batch norms on a concatenation of channels whose parts are all results of convolutions,
linear layers or batch norms, with nothing but dropout between.

Why it costs
------------
In eval mode a batch norm is a factor and a shift for each channel. Runtimes merge it into a
convolution right before it and do not look through a concatenation, so it reads the whole joined
map and writes it again. Each part's layer can hold the factors and shifts of its own channels.

Example
-------
    x = self.norm(torch.cat([self.cv2(x), self.cv3(y)], 1))

Use instead
-----------
    x = torch.cat([self.cv2(x), self.cv3(y)], 1)  # cv2 and cv3 with bias=True

    scale = old["norm.weight"] / (old["norm.running_var"] + 1e-5).sqrt()  # once, after training
    shift = old["norm.bias"] - scale * old["norm.running_mean"]
    old["cv2.weight"] *= scale[:64].view(-1, 1, 1, 1)
    old["cv2.bias"] = shift[:64]
    old["cv3.weight"] *= scale[64:].view(-1, 1, 1, 1)
    old["cv3.bias"] = shift[64:]

Savings
-------
One read and one write of the map, two operations an element, one kernel, the norm's parameters;
layers without bias get one. No MACs.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
YOLOv5's BottleneckCSP, early form: 0.99, 1.01, 0.96, 0.99.

When not to apply
-----------------
While training. Left alone where a part is anything else (DenseNet joins maps that others read
too, InceptionNeXt a part that no layer made), where others read a part or the joined map, where a
map is joined twice, and where a weight serves other calls too.

Already done by
---------------
AIMET. Others were not looked at for it.

Options
-------
None.

References
----------
A norm in eval mode acts on each channel alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, mixers, rescaling
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref

SUFFIX = "normed"


@dataclass(frozen=True, slots=True)
class Part:
    """What makes channels ``start`` to ``stop`` of the joined map; ``chain`` leads to the join."""

    node: str
    chain: tuple[str, ...]
    start: int
    stop: int
    axis: int | None


@dataclass(frozen=True, slots=True)
class Joined:
    """A batch norm, and the parts of the concatenation that it reads through ``chain``."""

    anchor: str
    nodes: tuple[str, ...]
    concat: str
    chain: tuple[str, ...]
    parts: tuple[Part, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Joined]:
    """Yield batch norms on concatenated channels of which a layer made at least one part."""
    graph = context.graph
    for norm in graph:
        if not rescaling.is_plain_batch_norm(norm):
            continue
        way = _way(graph, norm.inputs[0])
        if way is None or way.end.op != ir.Concat(1):
            continue
        parts = tuple(_parts(graph, way.end))
        if any(isinstance(graph[part.node].op, (ir.Conv, ir.Linear)) for part in parts):
            chain = tuple(node.id for node in way.between)
            ids = {norm.id, way.end.id, *chain, *(part.node for part in parts)}
            nodes = tuple(sorted(ids, key=graph.order.__getitem__))
            yield Joined(norm.id, nodes, way.end.id, chain, parts)


def _way(graph: ModelGraph, ref: Ref) -> rescaling.Way | None:
    return rescaling.way_back(graph, ref, 1, lambda node: rescaling.is_copy(graph, node))


def _parts(graph: ModelGraph, concat: Node) -> Iterator[Part]:
    start = 0
    for ref in concat.inputs:
        way = _way(graph, ref)
        stop = start + graph.spec(ref).shape[1]
        if way is None:
            yield Part(ref.node, (), start, stop, None)
        else:
            yield Part(way.end.id, tuple(n.id for n in way.between), start, stop, way.axis)
        start = stop


def guard(context: Context, site: Joined, _options: contract.Options) -> Refusal | None:
    """Refuse parts that no layer of their own makes."""
    graph = context.graph
    for part in site.parts:
        why = _why_not(graph, site, part)
        if why:
            return Refusal(why, (part.node,))
    for key, reader in zip((site.concat, *site.chain), (*site.chain, site.anchor), strict=True):
        others = [user.id for user in graph.users(graph[key]) if user.id != reader]
        if others:
            return Refusal("others read the joined map too", tuple(others))
    if context.saves(_edit(graph, site)).bytes_moved <= 0:
        return Refusal("it would move no fewer bytes", site.nodes)
    return None


def _why_not(graph: ModelGraph, site: Joined, part: Part) -> str:
    node = graph[part.node]
    where = node.module or node.id
    if part.axis is None or rescaling.channel_axis(node) != part.axis:
        return f"channels {part.start} to {part.stop - 1} are no result of a layer ({node.kind})"
    if not rescaling.has_own_weight(node):
        return f"{where} has no weight of its own"
    if isinstance(node.op, ir.Norm) and {"weight", "bias"} - {param.role for param in node.params}:
        return f"{where} has no weight and bias"
    if sum(other.node == part.node for other in site.parts) > 1:
        return f"the result of {where} is joined twice"
    for key, reader in zip((part.node, *part.chain), (*part.chain, site.concat), strict=True):
        if any(user.id != reader for user in graph.users(graph[key])):
            return f"others read the result of {where} too"
    others = [other for other in mixers.sharing(graph, node) if other.id != node.id]
    return f"{others[0].module or others[0].id} uses the weight of {where} too" if others else ""


def rewrite(context: Context, site: Joined, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the layers, each with the norm of its channels in its weights."""
    return (Rewrite("the norm in the layers before the join", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Joined) -> GraphEdit:
    norm = graph[site.anchor]
    old = [graph[part.node] for part in site.parts]
    made = [rescaling.renewed(node, SUFFIX, bias=True) for node in old]
    redirect = {Ref(a.id): Ref(b.id) for a, b in zip(old, made, strict=True)}
    redirect[Ref(norm.id)] = norm.inputs[0]
    return GraphEdit(frozenset({norm.id, *(node.id for node in old)}), tuple(made), redirect)


def advise(
    context: Context, sites: tuple[Joined, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest map."""
    graph = context.graph
    site = max(sites, key=lambda site: graph[site.anchor].output.elements)
    norm, nodes = graph[site.anchor], [graph[part.node] for part in site.parts]
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} places)"
    words = " and ".join(dict.fromkeys(map(rescaling.words, nodes)))
    made = _edit(graph, site).added
    code = "\n".join(dict.fromkeys(map(rescaling.code, made)))
    return contract.Advice(
        message=f"{rescaling.words(norm)} over {drafting.extent(norm.output.shape)}{among} reads "
        f"{len(nodes)} joined results of layers ({words}): their weights and biases could hold it",
        instead=f"{code}  # without the norm; once, after training:\n{_mapping(graph, norm, site)}",
        risk="same function in eval mode; weights of old checkpoints are multiplied once, and a "
        "bias is added; train with the norm and fold it afterwards",
    )


def _mapping(graph: ModelGraph, norm: Node, site: Joined) -> str:
    """Return code that makes the new weights of the old ones."""
    assert isinstance(norm.op, ir.Norm)
    roles = {param.role: f'old["{param.name}"]' for param in norm.params}
    over = f"({roles['running_var']} + {norm.op.eps:g}).sqrt()"
    lines = [f"scale = {roles.get('weight', '1')} / {over}"]
    lines.append(f"shift = {roles.get('bias', '0')} - scale * {roles['running_mean']}")
    for part in site.parts:
        weight = mixers.weight_of(graph[part.node])
        assert weight is not None
        lines += _lines(graph[part.node], weight, f"[{part.start}:{part.stop}]")
    return "\n".join(lines)


def _lines(node: Node, weight: Param, cut: str) -> Iterator[str]:
    op, key = node.op, weight.name
    shape = f".view(-1{', 1' * (len(weight.shape) - 1)})" if len(weight.shape) > 1 else ""
    if isinstance(op, ir.Conv) and op.transposed:
        shape = f".view(1, -1{', 1' * len(op.kernel)})"
    bias = f'old["{rescaling.bias_name(node)}"]'
    yield f'old["{key}"] *= scale{cut}{shape}'
    known = any(param.role == "bias" for param in node.params)
    yield f"{bias} = {bias} * scale{cut} + shift{cut}" if known else f"{bias} = shift{cut}"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL415",
        name="norm-after-concat",
        summary="a batch norm over joined results of layers that could hold it",
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
    weights="convlint_rules.norm_after_concat.apply:weights",
)
