"""CL425 composed-activation: an activation or norm written step by step that torch has as one call.

What it does
------------
Finds x * sigmoid(x) and x / (1 + exp(-x)) (SiLU), x * tanh(softplus(x)) (Mish),
x * relu6(x + 3) / 6 (Hardswish), relu6(x + 3) / 6 (Hardsigmoid),
0.5 * x * (1 + erf(x / sqrt(2))) (GELU) and its tanh form
0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), with the factors in any order.

Finds norms too, (x - mean) / sqrt(var + eps) with or without weight and bias, however mean and
variance are written: over the last axes (layer norm), over the channels of NCHW (the layer norm of
ConvNeXt, with a permutation before and after) and over all positions (instance norm); and
x / sqrt(mean(x**2) + eps) over the last axes (RMS norm).

Why it costs
------------
Run one by one, each step reads the whole map and writes it again. One call reads it once and
writes it once.

Example
-------
    x = x * F.relu6(x + 3) / 6

Use instead
-----------
    x = F.hardswish(x)

Or, for a norm over the channels:

    u = x.mean(1, keepdim=True)
    s = (x - u).pow(2).mean(1, keepdim=True)
    x = self.weight[:, None, None] * ((x - u) / torch.sqrt(s + 1e-6)) + self.bias[:, None, None]

    x = F.layer_norm(x.permute(0, 2, 3, 1), (96,), self.weight, self.bias, 1e-6)
    x = x.permute(0, 3, 1, 2)

Savings
-------
One read and one write of the map and a kernel for each step but one. No MACs, no parameters. The
copy that a layer norm makes of a permuted map is not counted.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
hard-swish by hand after a 1x1: 0.66, 1.00, 0.88, 0.98.

When not to apply
-----------------
Left alone where others read a value in between, and where a norm is another function than torch's:
an unbiased variance, an eps added after the root, axes that no norm has, an instance norm without
an eps or over one position. Left alone too: a norm over the channels whose result a .view flattens,
as it lies channels last, and an RMS norm over the channels in front, which torch only has over the
last axes (timm's, with the permutations: 1.5 to 2.0 times the time in eager on a CPU).

Measured by hand, eager on one CPU core, time after / before: ConvNeXt's norm over 96x56x56 0.41,
over 192x28x28 0.58; a layer norm over 3136x96 0.25; an instance norm over 96x56x56 0.71. An RMS norm
gains nothing there (1.25 over 3136x96): torch has kernels for it on CUDA, MPS and XPU, on a CPU it
runs these same steps.

Not found: x * sigmoid(1.702 x), which is no GELU of torch; constants written with fewer than ten
digits, or as tensors; a variance written as mean(x**2) - mean(x)**2; a norm by x.norm() or
F.normalize. A factor such as 1 + weight, and weights that the norm has no place for, stay outside
of the call. A runtime that fuses elementwise operations gains nothing, and one that has no such
operator (an old ONNX opset) takes the call apart again.

Already done by
---------------
Inductor fuses the steps whatever they are; coremltools and onnxscript know some of the patterns.

Options
-------
None.

References
----------
The definitions of torch.nn.SiLU, Mish, Hardswish, Hardsigmoid, GELU, LayerNorm, InstanceNorm2d and
RMSNorm. facebookresearch/ConvNeXt#18 and open-mmlab/mmsegmentation#1216 on the norm of ConvNeXt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from convlint_rules.composed_activation import calls
from convlint_rules.composed_activation.affine import Form
from convlint_rules.composed_activation.layout import view_of
from convlint_rules.composed_activation.norms import Normalised, normalised, trouble
from convlint_rules.composed_activation.patterns import Composed, composed

from convlint import contract
from convlint.analysis import drafting
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.cost.traffic import FREE
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Ref

Site = Composed | Normalised
LAYERS = {
    "silu": "SiLU", "mish": "Mish", "hardswish": "Hardswish", "hardsigmoid": "Hardsigmoid",
    "gelu": "GELU",
}  # fmt: skip
_PLAIN = {"__pow__": "pow", "__rdiv__": "div", "__rtruediv__": "div"}


def find(context: Context, _options: contract.Options) -> Iterator[Site]:
    """Yield activations and norms that several operations compute."""
    graph = context.graph
    found: list[Site] = [*composed(graph), *normalised(graph)]
    yield from sorted(found, key=lambda site: graph.order[site.anchor])


def guard(context: Context, site: Site, _options: contract.Options) -> Refusal | None:
    """Refuse norms that are none of torch's, and steps whose values others read."""
    graph = context.graph
    if isinstance(site, Normalised):
        refusal = _unfit(graph, site)
        if refusal is not None:
            return refusal
    for key in site.nodes:
        others = {user.id for user in graph.users(graph[key])} - set(site.nodes)
        if key != site.anchor and others:
            kind = _name(graph, key)
            return Refusal(f"others read the {kind} in between too", tuple(sorted(others)))
    return None


def _unfit(graph: ModelGraph, site: Normalised) -> Refusal | None:
    reason = trouble(graph, site)
    if reason:
        return Refusal(reason, site.nodes)
    view = view_of(graph, graph[site.anchor]) if site.form is Form.CHANNELS else None
    if view is None:
        return None
    what = "a .view joins channels and positions, and the norm leaves them channels last"
    return Refusal(f"{what}: a .reshape can", (view.id,))


def _name(graph: ModelGraph, key: str) -> str:
    op = graph[key].op
    if isinstance(op, (ir.Activation, ir.Elementwise, ir.Reduce)):
        return _PLAIN.get(op.fn, op.fn)
    return graph[key].kind


def rewrite(context: Context, site: Site, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the one call in place of the steps."""
    if isinstance(site, Normalised):
        return (Rewrite(f"one {calls.name_of(site)}", calls.edit_of(context.graph, site)),)
    node = context.graph[site.anchor]
    made = msgspec.structs.replace(
        node,
        id=f"{node.id}~{calls.SUFFIX}",
        op=site.op,
        inputs=(site.source,),
        inplace=False,
        function=f"torch.nn.functional.{site.op.fn}",
    )
    edit = GraphEdit(frozenset(site.nodes), (made,), {Ref(node.id): Ref(made.id)})
    return (Rewrite(f"one {site.op.fn}", edit),)


def advise(
    context: Context, sites: tuple[Site, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest map."""
    graph = context.graph
    site = max(sites, key=lambda site: graph[site.anchor].output.elements)
    steps = [key for key in site.nodes if not isinstance(graph[key].op, FREE)]
    names = ", ".join(_name(graph, key) for key in steps)
    size = drafting.extent(graph[site.anchor].output.shape)
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} calls)"
    what, instead, risk = _words(graph, site)
    return contract.Advice(
        message=f"{len(steps)} operations ({names}) over {size}{among} compute {what} step by "
        "step: one call reads and writes the map once",
        instead=instead,
        risk="same function, old checkpoints load as they are; the last bits may differ" + risk,
    )


def _words(graph: ModelGraph, site: Site) -> tuple[str, str, str]:
    """Return what the steps compute, the call to write, and a warning more."""
    if isinstance(site, Normalised):
        name = calls.name_of(site).replace("_", " ").replace("rms", "RMS")
        what = f"{'an' if name[0] in 'iR' else 'a'} {name}"
        if site.core.rms:
            return what, calls.code(graph, site), "; on a CPU F.rms_norm runs these same steps"
        if site.form is not Form.CHANNELS:
            return what, calls.code(graph, site), ""
        risk = "; the result lies channels last: a .view after it may have to be a .reshape"
        return f"{what} over the channels", calls.code(graph, site), risk
    layer, fn, way = LAYERS[site.op.fn], site.op.fn, site.op.approximate
    option = "" if way == "none" else f'approximate="{way}"'
    call = f"torch.nn.functional.{fn}({', '.join(filter(None, ('x', option)))})"
    what = layer if way == "none" else f"{layer} ({way} form)"
    return what, f"nn.{layer}({option})  # or {call}", ""


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL425",
        name="composed-activation",
        summary="an activation or norm written step by step that torch has as one call",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        severity_by_profile={"eager": Severity.WARNING},
        done_by=("inductor", "coremltools"),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.composed_activation.apply:weights",
)
