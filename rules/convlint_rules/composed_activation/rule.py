"""CL425 composed-activation: an activation written step by step that torch has as one call.

What it does
------------
Finds x * sigmoid(x) and x / (1 + exp(-x)) (SiLU), x * tanh(softplus(x)) (Mish),
x * relu6(x + 3) / 6 (Hardswish), relu6(x + 3) / 6 (Hardsigmoid) and
0.5 * x * (1 + erf(x / sqrt(2))) (GELU), with the factors in any order.

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

Savings
-------
One read and one write of the map and a kernel for each step but one. No MACs, no parameters.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
hard-swish by hand after a 1x1: 0.66, 1.00, 0.88, 0.98.

When not to apply
-----------------
Left alone where others read a value in between. Not found: the tanh form of GELU, a sigmoid of
1.702 x, constants written with fewer than ten digits, norms written by hand. A runtime that fuses
elementwise operations gains nothing, and one that has no such operator (an old ONNX opset) takes
the call apart again.

Already done by
---------------
Inductor fuses the steps whatever they are; coremltools and onnxscript know some of the patterns.

Options
-------
None.

References
----------
The definitions of torch.nn.SiLU, Mish, Hardswish, Hardsigmoid and GELU.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from convlint_rules.composed_activation.patterns import Composed, composed

from convlint import contract
from convlint.analysis import drafting
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Ref

SUFFIX = "fused"
LAYERS = {
    "silu": "SiLU", "mish": "Mish", "hardswish": "Hardswish", "hardsigmoid": "Hardsigmoid",
    "gelu": "GELU",
}  # fmt: skip


def find(context: Context, _options: contract.Options) -> Iterator[Composed]:
    """Yield activations that several operations compute."""
    yield from composed(context.graph)


def guard(context: Context, site: Composed, _options: contract.Options) -> Refusal | None:
    """Refuse steps whose values others read."""
    graph = context.graph
    for key in site.nodes:
        others = {user.id for user in graph.users(graph[key])} - set(site.nodes)
        if key != site.anchor and others:
            kind = _name(graph, key)
            return Refusal(f"others read the {kind} in between too", tuple(sorted(others)))
    return None


def _name(graph: ModelGraph, key: str) -> str:
    op = graph[key].op
    return op.fn if isinstance(op, (ir.Activation, ir.Elementwise)) else graph[key].kind


def rewrite(context: Context, site: Composed, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the one call in place of the steps."""
    node = context.graph[site.anchor]
    made = msgspec.structs.replace(
        node,
        id=f"{node.id}~{SUFFIX}",
        op=ir.Activation(site.fn),
        inputs=(site.source,),
        inplace=False,
        function=f"torch.nn.functional.{site.fn}",
    )
    edit = GraphEdit(frozenset(site.nodes), (made,), {Ref(node.id): Ref(made.id)})
    return (Rewrite(f"one {site.fn}", edit),)


def advise(
    context: Context, sites: tuple[Composed, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest map."""
    graph = context.graph
    site = max(sites, key=lambda site: graph[site.anchor].output.elements)
    steps = [key for key in site.nodes if not isinstance(graph[key].op, ir.Identity)]
    names = ", ".join(_name(graph, key) for key in steps)
    size = drafting.extent(graph[site.anchor].output.shape)
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} calls)"
    layer = LAYERS[site.fn]
    return contract.Advice(
        message=f"{len(steps)} operations ({names}) over {size}{among} compute {layer} step by "
        "step: one call reads and writes the map once",
        instead=f"nn.{layer}()  # or torch.nn.functional.{site.fn}(x)",
        risk="same function, old checkpoints load as they are; the last bits may differ",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL425",
        name="composed-activation",
        summary="an activation written step by step that torch has as one call",
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
)
