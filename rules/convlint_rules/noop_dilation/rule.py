"""CL104 noop-dilation: a dilation on an axis where the kernel has a single tap.

What it does
------------
Finds convolutions with dilation > 1 on axes where the kernel is 1, and nowhere else.

Why it costs
------------
It does nothing: one tap has no neighbour to be spread from. Some runtimes pick a slower kernel
for a dilated convolution all the same, and a reader takes the layer for something it is not. It
comes from helpers that hand one dilation to every layer of a stage.

Example
-------
    self.conv = nn.Conv2d(256, 256, 1, dilation=2)

Use instead
-----------
    self.conv = nn.Conv2d(256, 256, 1)

Savings
-------
None that is counted: the function, its weights and its MACs stay.

When not to apply
-----------------
Never where the kernel is 1. An axis with more taps keeps its dilation, so such layers are left
alone.

Already done by
---------------
Nobody needs to: the result is the same.

Options
-------
None.

References
----------
The definition of a dilated convolution: torch.nn.Conv2d.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import ArgumentEdit, Context, Refusal, Rewrite, Severity
from convlint.edit import replace_node
from convlint.ir import nodes as ir


@dataclass(frozen=True, slots=True)
class Dilated:
    """A convolution whose dilation touches no second tap."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv


def find(context: Context, _options: contract.Options) -> Iterator[Dilated]:
    """Yield convs that are dilated on axes with one tap."""
    for node, op in neighbours.convs(context.graph):
        if any(d > 1 and k == 1 for k, d in zip(op.kernel, op.dilation, strict=True)):
            yield Dilated(node.id, (node.id,), op)


def guard(_context: Context, site: Dilated, _options: contract.Options) -> Refusal | None:
    """Refuse convs that are dilated on another axis as well, or whose kernel is computed."""
    pairs = zip(site.op.kernel, site.op.dilation, strict=True)
    if any(d > 1 and k > 1 for k, d in pairs):
        what = f"kernel {drafting.extent(site.op.kernel)} is dilated on an axis with more taps too"
        return Refusal(what, site.nodes)
    if site.op.computed_weight:
        return Refusal("its kernel is computed, not a parameter", site.nodes)
    return None


def rewrite(context: Context, site: Dilated, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the same conv with dilation 1, on its own weights."""
    node = context.graph[site.anchor]
    new = msgspec.structs.replace(node, id=f"{node.id}~plain", op=_plain(site.op))
    return (Rewrite("dilation 1", replace_node(node, (new,))),)


def _plain(op: ir.Conv) -> ir.Conv:
    return msgspec.structs.replace(op, dilation=(1,) * len(op.kernel))


def advise(
    context: Context, sites: tuple[Dilated, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its first conv."""
    op, node = sites[0].op, context.graph[sites[0].anchor]
    convs = drafting.counted([context.graph[site.anchor] for site in sites], "conv")
    return contract.Advice(
        message=f"dilation {drafting.short(op.dilation)} on kernel {drafting.extent(op.kernel)} does "
        f"nothing ({convs})",
        instead=drafting.chain_code(node, _plain(op)),
        risk="same function, and old checkpoints load as they are",
        fix=() if drafting.is_functional(node) else (ArgumentEdit("dilation", "1"),),
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL104",
        name="noop-dilation",
        summary="a dilation on a kernel of one tap",
        severity=Severity.INFO,
        exact=True,
        since="0.2.0",
        gated=False,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
)
