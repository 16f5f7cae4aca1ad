"""CL426 foldable-input-normalisation: the input is normalised by a model whose first layer could.

What it does
------------
Finds sums and products with constants between an input of the model and the convolution or linear
layer that reads it: (x - mean) / std, x / 255, 2 * x - 1.

Why it costs
------------
Each step reads the input image and writes it again, at the highest resolution of the model. The
first layer multiplies each channel anyway: its weights divided by std, and a bias with the
products of the means, do the same.

Example
-------
    x = (x - self.mean) / self.std
    x = self.stem(x)  # nn.Conv2d(3, 32, 3, stride=2, padding=1)

Use instead
-----------
    x = self.stem(x - self.mean)

    old["stem.weight"] /= old["std"].view(1, -1, 1, 1)  # once, after training

Savings
-------
One read and one write of the input, an operation an element and a kernel for each step that goes.
No MACs.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
resnet18's stem with the image's scaling in the model: 0.98, 0.99, 0.96, 0.99.

When not to apply
-----------------
While training. A shift stays, as one sum, where the first layer pads with zeros: they stand for
zeros after the shift and not before it (the border differs by 0.93 of the scale in a test). Left
alone where others read the normalised input, where the layer's weight serves other calls, and
where the input is of another dtype than the weights.

Already done by
---------------
OpenVINO, where the mean is left out before padding too.

Options
-------
None.

References
----------
Linearity of the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from convlint_rules.foldable_input_normalisation.chains import Chain, Step, chains

from convlint import contract
from convlint.analysis import drafting, mixers, rescaling
from convlint.analysis.readers import left_unread
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref, TensorSpec

SUFFIX = "denormed"


def find(context: Context, _options: contract.Options) -> Iterator[Chain]:
    """Yield the steps between an input and the layer that reads it."""
    yield from chains(context.graph)


def guard(context: Context, site: Chain, _options: contract.Options) -> Refusal | None:
    """Refuse a lone shift before zero padding, and what others read."""
    graph, layer = context.graph, context.graph[site.anchor]
    op, where = layer.op, layer.module or layer.id
    for key, reader in zip(site.nodes, site.nodes[1:], strict=False):
        others = [user.id for user in graph.users(graph[key]) if user.id != reader]
        if others:
            return Refusal("others read the normalised input too", tuple(others))
    if not rescaling.has_own_weight(layer):
        return Refusal(f"the weight of {where} is computed in forward", (layer.id,))
    if isinstance(op, ir.Conv) and op.transposed:
        return Refusal(f"{where} is a transposed conv", (layer.id,))
    shared = [other for other in mixers.sharing(graph, layer) if other.id != layer.id]
    if shared:
        return Refusal(f"{shared[0].module or shared[0].id} uses the same weight", (shared[0].id,))
    kind, dtype = graph.spec(site.steps[0].data).dtype, graph.spec(layer.inputs[0]).dtype
    if kind != dtype:
        return Refusal(f"the input is {kind}, and {where} takes {dtype}", site.nodes)
    if _pads(layer) and len(site.steps) == len(site.sums) == 1:
        return Refusal(f"{where} pads with zeros, which the shift would move", (layer.id,))
    if context.saves(_edit(graph, site)).bytes_moved <= 0:
        return Refusal("it would move no fewer bytes", site.nodes)
    return None


def _pads(layer: Node) -> bool:
    op = layer.op
    return isinstance(op, ir.Conv) and op.padding_mode == "zeros" and any(map(any, op.padding))


def _kept(layer: Node, site: Chain) -> Step | None:
    """Return the sum that stays as it is: the only one, before all products and a padded conv."""
    return site.steps[0] if _pads(layer) and site.sums == (0,) else None


def rewrite(context: Context, site: Chain, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the layer that does the steps itself, all but the sum where it pads."""
    return (Rewrite("the normalisation in the first layer", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Chain) -> GraphEdit:
    layer = graph[site.anchor]
    kept = _kept(layer, site)
    going = [step for step in site.steps if step is not kept]
    bias = None if _pads(layer) or not site.sums else True
    made = rescaling.renewed(layer, SUFFIX, bias)
    redirect = {Ref(step.node): step.data for step in going}
    redirect[Ref(layer.id)] = Ref(made.id)
    added = [made]
    if _pads(layer) and site.sums and kept is None:
        more = _shift(graph, site)
        added += more
        redirect[Ref(site.steps[site.sums[-1]].node)] = Ref(more[-1].id)
    tensors = [step.tensor for step in going if step.tensor is not None]
    removed = left_unread(graph, {layer.id, *(step.node for step in going)}, tensors)
    return GraphEdit(removed, tuple(added), redirect)


def _shift(graph: ModelGraph, site: Chain) -> list[Node]:
    """Return the one sum in place of the last, and its constant where it is no number."""
    last = site.steps[site.sums[-1]]
    node, before = graph[last.node], site.steps[: site.sums[-1] + 1]
    total = msgspec.structs.replace(
        node, id=f"{node.id}~shift", op=ir.Add(_number(before)), inputs=(last.data,), inplace=False
    )
    if all(step.number is not None for step in before):
        return [total]
    shape = [1] * len(node.output.shape)
    if last.axis is not None:
        shape[last.axis] = node.output.shape[last.axis]
    name = f"{node.id.replace('~', '_')}_offset"
    storage = f"{graph[site.anchor].id}~{node.id}.offset"
    spec = TensorSpec(tuple(shape), node.output.dtype)
    param = Param(name, storage, spec.shape, spec.dtype, "weight", buffer=True)
    constant = msgspec.structs.replace(
        node,
        id=f"{node.id}~offset",
        op=ir.Constant("buffer", name),
        inputs=(),
        outputs=(spec,),
        params=(param,),
    )
    return [constant, msgspec.structs.replace(total, inputs=(last.data, Ref(constant.id)))]


def _number(steps: tuple[Step, ...]) -> float | None:
    """Return what is added before the products, None where not all constants are numbers."""
    scale, shift = 1.0, 0.0
    for step in steps:
        if step.number is None:
            return None
        if step.is_sum:
            shift += step.number
        else:
            scale, shift = scale * step.number, shift * step.number
    return shift / scale


def advise(
    context: Context, sites: tuple[Chain, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest input."""
    graph = context.graph
    site = max(sites, key=lambda site: graph.spec(site.steps[0].data).elements)
    layer = graph[site.anchor]
    count = len(site.steps)
    steps = f"{count} steps of scaling and shifting run"
    steps = "1 step of scaling or shifting runs" if count == 1 else steps
    stays = _pads(layer) and bool(site.sums)
    held = "do all but one sum, as it pads with zeros" if stays else "do all of it"
    size = drafting.extent(graph.spec(site.steps[0].data).shape)
    made = next(new for new in _edit(graph, site).added if new.id == f"{layer.id}~{SUFFIX}")
    return contract.Advice(
        message=f"{steps} over the input of {size} before the {mixers.words(layer)}: its weights "
        f"could {held}",
        instead=f"{rescaling.code(made)}  # once, after training:\n{_mapping(layer, site)}",
        risk="same function in eval mode; weights of old checkpoints are multiplied once, and the "
        "input is passed as it is",
    )


def _mapping(layer: Node, site: Chain) -> str:
    """Return code that makes the new weights of the old ones."""
    weight = mixers.weight_of(layer)
    key = f'old["{weight.name if weight else "weight"}"]'
    bias = f'old["{rescaling.bias_name(layer)}"]'
    taps = ", 1" * len(layer.op.kernel) if isinstance(layer.op, ir.Conv) else ""
    lay = f".view(1, -1{taps})"
    lines = ["# scale, shift: the steps before were scale * x + shift, a value a channel"]
    known = any(param.role == "bias" for param in layer.params)
    if site.sums and _pads(layer):
        lines.append("x = x + shift / scale  # stays in forward")
    elif site.sums:
        start = f"{bias} + " if known else ""
        lines.append(f"{bias} = {start}({key} * shift{lay}).flatten(1).sum(1)")
    return "\n".join([*lines, f"{key} *= scale{lay}"])


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL426",
        name="foldable-input-normalisation",
        summary="the input is normalised by steps that the first layer could do",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        done_by=("openvino",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.foldable_input_normalisation.apply:weights",
)
