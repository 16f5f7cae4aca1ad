"""CL601 unproductive-tail: layers that add no context because the input ends first.

What it does
------------
Finds convolutions of more than one tap all of whose inputs see the whole input already, on inputs
under 128 pixels, where they hold at least 5 % of the model's MACs or parameters together.

Why it costs
------------
A spatial kernel is there to bring in context. Where the receptive field of every path before it
spans the input, its taps beyond the first see nothing new: VGG-16 on 32x32 spends 51 % of its
convolutions' MACs and 92 % of their weights so.

Example
-------
    vgg16(num_classes=10)(torch.randn(1, 3, 32, 32))

Use instead
-----------
    # drop the last stages, take early strides and pools out, or train on a larger input
    nn.Sequential(*list(vgg16().features)[:17])

Savings
-------
None promised: that is a question of training. The message tells the share of MACs and parameters.

When not to apply
-----------------
True at the input size of the trace only, and not a proof that the layers are useless: they still
compute. Silent on 1x1 layers, on larger inputs, and for nets that see everything early on purpose
(attention, global context: the smallest path counts).

Already done by
---------------
Nobody: it is another function.

Options
-------
max-input = 128: inputs of this many pixels and more are left alone.
min-share = 0.05: least share of the model's MACs or parameters.

References
----------
Richter et al., Should You Go Deeper?, arXiv 2106.12307.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.analysis.receptive_field import Field, receptive_fields
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node


class TailOptions(contract.Options, frozen=True):
    """Options of CL601."""

    max_input: int = 128
    min_share: float = 0.05


@dataclass(frozen=True, slots=True)
class Tail:
    """A conv whose input sees the whole input; ``field`` is what it sees, ``size`` the input.

    ``macs`` and ``params`` are the shares that all such convs of the model hold.
    """

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    field: float
    size: int
    macs: float
    params: float


def find(context: Context, _options: TailOptions) -> Iterator[Tail]:
    """Yield convs of several taps whose every input has a receptive field beyond the input."""
    graph = context.graph
    size = _input_size(graph)
    if not size:
        return
    fields = receptive_fields(graph)
    found = [
        (node, op, seen)
        for node, op in neighbours.convs(graph)
        if op.taps > 1 and (seen := _seen(node, fields)) >= size
    ]
    macs = sum(context.cost.macs_of(node.id) for node, _, _ in found)
    params = sum(context.cost.nodes[node.id].params for node, _, _ in found)
    for node, op, seen in found:
        yield Tail(
            node.id, (node.id,), op, seen, size,
            macs / max(1, context.cost.macs), params / max(1, context.cost.params),
        )  # fmt: skip


def _input_size(graph: ModelGraph) -> int:
    """Return the larger side of the one image input, 0 where there is none or several."""
    images = [node.output.shape[2:] for node in graph.model_inputs if len(node.output.shape) == 4]
    return max(images[0]) if len(images) == 1 else 0


def _seen(node: Node, fields: dict[str, Field]) -> float:
    """Return the smallest receptive field of the conv's input, 0 where it is not known."""
    field = fields.get(node.inputs[0].node)
    return float(min(field.min)) if field is not None and field.min else 0.0


def guard(_context: Context, site: Tail, options: TailOptions) -> Refusal | None:
    """Refuse larger inputs, and tails that hold little."""
    if site.size >= options.max_input:
        return Refusal(
            f"the input has {site.size} pixels: {options.max_input} and more", site.nodes
        )
    if max(site.macs, site.params) < options.min_share:
        what = (
            f"such layers hold {site.macs:.1%} of the MACs and {site.params:.1%} of the parameters"
        )
        return Refusal(f"{what}, under {options.min_share:.0%}", site.nodes)
    return None


def rewrite(_context: Context, _site: Tail, _options: TailOptions) -> tuple[Rewrite, ...]:
    """Return no rewrite: what takes the tail's place is a question of training."""
    return ()


def advise(context: Context, sites: tuple[Tail, ...], _options: TailOptions) -> contract.Advice:
    """Word the finding by the first conv of the tail."""
    site = sites[0]
    node = context.graph[site.anchor]
    shapes = " and ".join(drafting.extent(n.output.shape) for n in context.graph.model_inputs)
    return contract.Advice(
        message=f"at input {shapes} {drafting.extent(site.op.kernel)} {drafting.channels(site.op)} "
        f"reads what sees {site.field:.0f} of {site.size} pixels already: such layers hold "
        f"{site.macs:.0%} of the MACs and {site.params:.0%} of the parameters and add no context",
        instead=f"# fewer stages, fewer early strides, or a larger input; the first such layer:\n"
        f"{drafting.chain_code(node, site.op)}",
        risk="another function, retrain; true at this input size only",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL601",
        name="unproductive-tail",
        summary="layers that add no context because the input ends first",
        severity=Severity.WARNING,
        exact=False,
        since="0.2.0",
        gated=False,
        at_size=True,
        yields_to=("CL102",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=TailOptions,
)
