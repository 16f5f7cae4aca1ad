"""The forms a large kernel may take instead, in the order that the target prefers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from convlint_rules.large_kernel import stacks

from convlint.analysis import drafting
from convlint.contract import Context, Rewrite
from convlint.cost.node import macs_of
from convlint.edit import replace_node
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, Ref, TensorSpec
from convlint.profiles import Target


class Kind(StrEnum):
    """How the taps cover the field: on a grid, or all of it."""

    DILATED = "dilated"
    STACKED = "stacked"


@dataclass(frozen=True, slots=True)
class Form:
    """Convs in a row that take the place of a large one, and the nodes that hold them.

    ``saved`` is the share of the MACs that they save. Where ``claimed`` is false nothing is
    promised.
    """

    kind: Kind
    convs: tuple[ir.Conv, ...]
    nodes: tuple[Node, ...]
    saved: float
    claimed: bool = True

    @property
    def label(self) -> str:
        """What the form is called: "3x3 with dilation 2", "2 stacked 3x3 of width 64"."""
        kernel = drafting.extent(self.convs[0].kernel)
        if self.kind is Kind.DILATED:
            return f"{kernel} with dilation {drafting.short(self.convs[0].dilation)}"
        return f"{len(self.convs)} stacked {kernel} of width {self.convs[0].out_channels}"

    def rewrite(self, node: Node) -> Rewrite:
        """Return the rewrite that puts the form in the place of ``node``."""
        return Rewrite(self.label, replace_node(node, self.nodes), claimed=self.claimed)

    def code(self, node: Node) -> str:
        """Return the code to write in the place of ``node``."""
        return drafting.chain_code(node, *self.convs, between="ReLU")


def forms(context: Context, node: Node, op: ir.Conv, mid: str, gain: float) -> tuple[Form, ...]:
    """Return what the kernel of ``node`` may become, the form to claim first.

    That is the dilated 3x3, and the stack of 3x3 of width ``mid`` where it is cheaper by at
    least ``gain``. A target may want the stack first, or run the dilated one at full cost: it is
    then left out.
    """
    dilated = _dilated(context, node, op)
    stacked = _stacked(context, node, op, stacks.WIDTHS[mid](op), gain)
    found = [form for form in (dilated, stacked) if form is not None]
    return tuple(reversed(found) if context.target.holds("stacked_first") else found)


def too_far(target: Target, op: ir.Conv) -> str:
    """Return why the dilated form saves nothing on the target, "" where it does."""
    new = stacks.dilated(op)
    most = target.number("max_dilation")
    if not most or max(new.dilation) <= most:
        return ""
    return (
        f"dilation {drafting.short(new.dilation)} saves nothing on {target.name}, "
        f"whose kernels dilate by {most:g} at most"
    )


def _dilated(context: Context, node: Node, op: ir.Conv) -> Form | None:
    if too_far(context.target, op):
        return None
    new, source = stacks.dilated(op), node.inputs[0]
    made = drafting.draft_conv(node, "dilated", new, source, context.graph.spec(source).shape)
    return Form(
        Kind.DILATED, (new,), (made,), 1 - new.taps / op.taps, claimed=not stacks.is_even(op)
    )


def _stacked(context: Context, node: Node, op: ir.Conv, width: int, gain: float) -> Form | None:
    convs = stacks.stack(op, width)
    if convs is None:
        return None
    drafted = stacks.draft_stack(context.graph, node, convs)
    macs = 0
    specs: dict[Ref, TensorSpec] = {node.inputs[0]: context.graph.spec(node.inputs[0])}
    for made in drafted:
        macs += macs_of(made.op, (specs[made.inputs[0]],), made.outputs)
        specs[Ref(made.id)] = made.output
    share = macs / context.cost.macs_of(node.id)
    weights = stacks.weights(convs) / stacks.weights((op,))
    if max(share, weights) > 1 - gain:
        return None
    return Form(Kind.STACKED, convs, drafted, 1 - share)
