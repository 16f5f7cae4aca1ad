"""CL424 monotone-before-argmax: a softmax or sigmoid of which only the order is used.

What it does
------------
Finds softmax, log_softmax, sigmoid, tanh, exp and other strictly increasing functions that
nobody reads but argmax and argmin, or the indices of topk, sort and max. For a softmax it has to
be the axis of the softmax.

Why it costs
------------
An increasing function does not change which value is the largest. In a segmentation net it is an
exponential for every class of every pixel at full resolution, and a map written and read.

Example
-------
    return self.decode(x).softmax(1).argmax(1)

Use instead
-----------
    return self.decode(x).argmax(1)

Savings
-------
One read and one write of the map, its exponentials, one kernel. No MACs.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
1x1 to 21 classes, softmax, argmax: 0.92, 0.76, 0.31, 1.06.

When not to apply
-----------------
Silent where the values are used too (returned, compared with a threshold, the values of topk),
where the argmax runs along another axis than the softmax or over all, and for functions with flat
parts (ReLU, hardsigmoid), whose ties would be broken otherwise. Rounding makes ties as well: where
a sigmoid in half precision rounds two scores to the same number, argmax takes the first of them,
and without the sigmoid the larger.

Already done by
---------------
onnxoptimizer, under the name eliminate_nop_monotone_argmax.

Options
-------
None.

References
----------
f(a) < f(b) where a < b.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting
from convlint.analysis.readers import bypass, readers
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

INCREASING = frozenset(
    "sigmoid logsigmoid tanh softplus softsign exp exp2 expm1 atan sinh asinh erf expit".split()
)
"""Functions of one element that grow strictly everywhere."""

ARG = frozenset({"argmax", "argmin"})
INDEXED = frozenset({"topk", "sort", "max", "min", "kthvalue"})
"""Calls that return values and, second, their indices."""

MOVES = (
    ir.Identity, ir.Reshape, ir.Permute, ir.Slice, ir.Split, ir.Flip, ir.Roll, ir.Expand,
)  # fmt: skip
"""What may stand between a function of one element and the order of its values."""


@dataclass(frozen=True, slots=True)
class Monotone:
    """A function that keeps the order, and those that read it."""

    anchor: str
    nodes: tuple[str, ...]
    fn: str
    readers: tuple[str, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Monotone]:
    """Yield increasing functions with an argmax, or a call that returns indices, behind them."""
    for node in context.graph:
        fn = _increasing(node)
        if fn is None:
            continue
        through = (ir.Identity,) if isinstance(node.op, ir.Softmax) else MOVES
        users = tuple(_last_readers(context.graph, node, through))
        if any(_orders(user) for user in users):
            ids = tuple(dict.fromkeys(user.id for user in users))
            yield Monotone(node.id, (node.id,), fn, ids)


def _increasing(node: Node) -> str | None:
    op = node.op
    if isinstance(op, ir.Softmax) and op.fn in ("softmax", "log_softmax"):
        return op.fn
    if isinstance(op, (ir.Activation, ir.Elementwise)) and op.fn in INCREASING:
        return op.fn if len(node.inputs) == 1 else None
    return None


def _last_readers(
    graph: ModelGraph, node: Node, through: tuple[type[ir.Op], ...]
) -> Iterator[Node]:
    """Yield who reads the values, however they were moved: an order is one of the same values."""
    for output in range(len(node.outputs)):
        for user in readers(graph, Ref(node.id, output)):
            if isinstance(user.op, through):
                yield from _last_readers(graph, user, through)
            else:
                yield user


def _orders(node: Node) -> bool:
    if isinstance(node.op, ir.Reduce):
        return node.op.fn in ARG
    if isinstance(node.op, ir.Opaque):
        return node.op.target == "argsort" or node.op.target in INDEXED
    return False


def guard(context: Context, site: Monotone, _options: contract.Options) -> Refusal | None:
    """Refuse where more than the order is used, or an order along another axis."""
    graph = context.graph
    node = graph[site.anchor]
    for key in site.readers:
        user = graph[key]
        if not _orders(user):
            who = f"{'an' if user.kind[0] in 'aeiou' else 'a'} {user.kind}"
            who = "the model's output" if isinstance(user.op, ir.Output) else who
            return Refusal(f"{who} reads the values of the {site.fn}", (key,))
        if _reads_values(graph, user):
            return Refusal(f"the values of {_name(user)} are read, not only its indices", (key,))
        if isinstance(node.op, ir.Softmax) and _axes(graph, user) != {node.op.axis}:
            axes = ", ".join(map(str, sorted(_axes(graph, user)))) or "none"
            reason = f"{_name(user)} runs along axis {axes}, the {site.fn} along {node.op.axis}"
            return Refusal(reason, (key,))
    return None


def _reads_values(graph: ModelGraph, user: Node) -> bool:
    """Tell whether anybody reads the first output of a call that returns values and indices."""
    if len(user.outputs) < 2:
        return isinstance(user.op, ir.Opaque) and user.op.target != "argsort"
    return any(Ref(user.id, 0) in reader.inputs for reader in graph.users(user))


def _axes(graph: ModelGraph, user: Node) -> set[int]:
    """Return the axes along which ``user`` may order, by its shapes where nothing else tells.

    Axes of length 1 order nothing and are left out.
    """
    before, after = graph.spec(user.inputs[0]).shape, user.outputs[-1].shape
    long = {axis for axis, size in enumerate(before) if size > 1}
    if isinstance(user.op, ir.Reduce):
        return {axis % len(before) for axis in user.op.axes} & long
    return {axis for axis in long if _may_be(before, after, axis)}


def _may_be(before: ir.Ints, after: ir.Ints, axis: int) -> bool:
    """Tell whether a call along ``axis`` may have made these indices."""
    rest = before[:axis], before[axis + 1 :]
    dropped = (*rest[0], *rest[1]) == after
    kept = len(after) == len(before) and (after[:axis], after[axis + 1 :]) == rest
    return dropped or kept


def _name(user: Node) -> str:
    if isinstance(user.op, ir.Reduce):
        return user.op.fn
    assert isinstance(user.op, ir.Opaque)
    return user.op.target


def rewrite(context: Context, site: Monotone, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the edit that leaves the function out."""
    return (Rewrite(f"without the {site.fn}", bypass(context.graph[site.anchor])),)


def advise(
    context: Context, sites: tuple[Monotone, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its largest map."""
    graph = context.graph
    site = max(sites, key=lambda site: graph[site.anchor].output.elements)
    node = graph[site.anchor]
    names = ", ".join(sorted({_name(graph[key]) for key in site.readers}))
    size = drafting.extent(node.output.shape)
    among = "" if len(sites) == 1 else f" (the largest of {len(sites)} places)"
    return contract.Advice(
        message=f"{site.fn} of {size}{among} only to find where the largest values are ({names}): "
        "it keeps their order",
        instead=f"leave it out: {names} on the scores themselves; for the layer, nn.Identity()",
        risk="same function, old checkpoints load as they are; scores so close that rounding made "
        "them equal are told apart now",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL424",
        name="monotone-before-argmax",
        summary="a softmax or sigmoid whose order alone is used",
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
