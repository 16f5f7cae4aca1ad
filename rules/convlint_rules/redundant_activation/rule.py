"""CL422 redundant-activation: an activation on values that it cannot change.

What it does
------------
Finds ReLU, leaky and parametric ReLU, ELU, CELU and abs on values that are proved to be 0 or
more, ReLU6 on values proved to lie in [0, 6], and a ReLU that only a ReLU6 reads.

Why it costs
------------
Where nothing fuses it, an activation reads the whole map and writes it again.

Example
-------
    x = torch.relu(self.bn2(self.conv2(x)))
    x = torch.relu(x * self.gate(x) + torch.relu(shortcut))

Use instead
-----------
    x = torch.relu(self.bn2(self.conv2(x)))
    x = x * self.gate(x) + torch.relu(shortcut)

Savings
-------
One read and one write of the map, one operation an element, one kernel. No MACs. A PReLU takes
its weight with it.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
timm legacy_seresnet18: 1.00, -, 0.99, 1.00.

When not to apply
-----------------
The proof goes from ReLU, ReLU6, sigmoid, hardsigmoid, softplus, softmax, abs, exp and squares
through max and average pooling, sums, products, concatenation, padding, data movement and
nearest, linear, bilinear, trilinear and area interpolation. It stops at bicubic interpolation,
whose negative weights overshoot (0.37 below zero in a test), at convolutions, norms, and at
clamps, whose bounds are not looked at. A ReLU6 on values that may pass 6 stays. The numbers are
bit-equal, but for the sign of a zero.

Already done by
---------------
ONNX Runtime fuses a ReLU into a Clip that follows it at once, and no more than that.

Options
-------
None.

References
----------
The function itself: max(x, 0) = x where x >= 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting
from convlint.analysis.ranges import ABSOLUTE, ANY, IDENTITY_ABOVE_ZERO, Range, ranges
from convlint.analysis.readers import bypass, last_readers, source_of
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SIX = 6.0


@dataclass(frozen=True, slots=True)
class Redundant:
    """An activation, what is proved of the value it reads, and the ReLU6 that follows, if any."""

    anchor: str
    nodes: tuple[str, ...]
    fn: str
    range: Range
    absorbed_by: str = ""


def find(context: Context, _options: contract.Options) -> Iterator[Redundant]:
    """Yield activations that read values from 0 on, and ReLUs that only ReLU6 reads."""
    graph, known = context.graph, ranges(context.graph)
    for node in graph:
        fn = _function(node)
        if fn is None or len(node.inputs) != 1 or node.output.dtype not in _FLOATING:
            continue
        value = known[node.inputs[0]]
        later = _clamp_after(graph, node, known) if fn == "relu" else ""
        if value.positive:
            yield Redundant(node.id, (node.id,), fn, value)
        elif later:
            yield Redundant(node.id, (node.id, later), fn, value, later)
        elif _overshoots(graph, node, known):
            yield Redundant(node.id, (node.id,), fn, ANY)


def _function(node: Node) -> str | None:
    """Return the name of a function that leaves some values as they are, None for others."""
    if isinstance(node.op, ir.Activation):
        name = node.op.fn
        return name if name in IDENTITY_ABOVE_ZERO or name == "relu6" else None
    if isinstance(node.op, ir.Elementwise) and node.op.fn in ABSOLUTE:
        return "abs"
    return None


def _clamp_after(graph: ModelGraph, node: Node, known: dict[Ref, Range]) -> str:
    """Return the ReLU6 that alone reads a ReLU and that is needed itself, else nothing."""
    users = last_readers(graph, Ref(node.id))
    if len(users) != 1 or users[0].op != ir.Activation("relu6"):
        return ""
    return users[0].id if known[Ref(node.id)].high > SIX else ""


def _overshoots(graph: ModelGraph, node: Node, known: dict[Ref, Range]) -> bool:
    """Tell whether the value would be proved, had it not been interpolated bicubically."""
    before = graph[source_of(graph, node.inputs[0]).node]
    bicubic = isinstance(before.op, ir.Upsample) and before.op.mode == "bicubic"
    return bicubic and known[before.inputs[0]].positive


def guard(context: Context, site: Redundant, _options: contract.Options) -> Refusal | None:
    """Refuse what is proved too little of."""
    if site.absorbed_by:
        return None
    if not site.range.positive:
        before = source_of(context.graph, context.graph[site.anchor].inputs[0])
        return Refusal("bicubic interpolation overshoots below 0", (before.node,))
    if site.fn == "relu6" and site.range.high > SIX:
        high = "unbounded" if site.range.high == float("inf") else f"at most {site.range.high:g}"
        return Refusal(f"the values are {high}, and it cuts them at 6", site.nodes)
    return None


def rewrite(context: Context, site: Redundant, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the edit that leaves the activation out."""
    return (Rewrite(f"without this {site.fn}", bypass(context.graph[site.anchor])),)


def advise(
    context: Context, sites: tuple[Redundant, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest activation."""
    graph = context.graph
    site = max(sites, key=lambda site: graph[site.anchor].output.elements)
    node = graph[site.anchor]
    size = drafting.extent(node.output.shape)
    among = "" if len(sites) == 1 else f", the largest of {len(sites)} calls"
    calls = _calls(graph, node)
    if site.absorbed_by:
        why = "only a relu6 reads it, which cuts below 0 as well"
    else:
        why = f"the values that it reads, of {_source(graph, node)}, are never {_outside(site)}"
    return contract.Advice(
        message=f"{site.fn} over {size}{among} changes nothing: {why}",
        instead=_instead(site, calls),
        risk=_risk(node),
    )


def _outside(site: Redundant) -> str:
    return "outside [0, 6]" if site.fn == "relu6" else "negative"


def _source(graph: ModelGraph, node: Node) -> str:
    """Return words for what the activation reads: "an add", "a pool"."""
    before = graph[source_of(graph, node.inputs[0]).node]
    name = before.op.fn if isinstance(before.op, (ir.Activation, ir.Elementwise)) else before.kind
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _calls(graph: ModelGraph, node: Node) -> int:
    """Return how often the layer of ``node`` is called; 1 for a function."""
    if not node.layer:
        return 1
    return sum(1 for other in graph.in_module(node.module) if other.op == node.op)


def _instead(site: Redundant, calls: int) -> str:
    if calls > 1:
        return f"leave this call out; the nn module stays for its other calls: nn.{_layer(site)}()"
    return "nn.Identity()  # or leave the call out"


def _layer(site: Redundant) -> str:
    names = {"relu": "ReLU", "relu6": "ReLU6", "leaky_relu": "LeakyReLU", "prelu": "PReLU"}
    return names.get(site.fn, site.fn.upper())


def _risk(node: Node) -> str:
    if node.params:
        return "same function; the weight of the PReLU goes: drop its key from old checkpoints"
    return "same function, old checkpoints load as they are"


_FLOATING = frozenset({"float64", "float32", "float16", "bfloat16"})

RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL422",
        name="redundant-activation",
        summary="an activation on values that it cannot change",
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
)
