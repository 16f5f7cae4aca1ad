"""CL418 cropped-positions: a convolution computes positions that a crop then throws away.

What it does
------------
Finds convolutions whose result is read by nothing but a crop: a slice, a part of a split, a
negative padding. Activations and norms may stand between.

Why it costs
------------
Causal 1-D nets pad both sides and cut the right one off again (Chomp1d of the TCN). Every
position that is cut off costs as much as one that stays: with kernel 7 and dilation 64 on 784
steps a third of the convolution.

Example
-------
    self.conv = nn.Conv1d(64, 64, 7, padding=384, dilation=64)
    x = self.conv(x)[:, :, :-384]

Use instead
-----------
    self.conv = nn.Conv1d(64, 64, 7, dilation=64)
    x = self.conv(F.pad(x, (384, 0)))

Savings
-------
Positions cut off / positions computed of the convolution's MACs, and the bytes they take. A
transposed convolution saves the bytes only: its MACs are those of the positions it reads.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
TCN block, 25 channels, k 7, d 64: 0.67, 0.80, 0.64, 0.85.

When not to apply
-----------------
Silent where the result is read before the crop too (U-Net crops skip connections of maps that
go on), where the crop takes every second position, where other borders than zeros would become
uneven, on computed kernels, and on transposed ones whose cut is uneven. Where the new padding is
uneven, PyTorch pads in a call of its own, which copies the input as the crop's contiguous() did
with the result.

Already done by
---------------
Nobody of those looked at.

Options
-------
None.

References
----------
locuslab/TCN, Chomp1d; pytorch/pytorch#1333 asks for causal convolutions and is given this idiom.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, mixers
from convlint.analysis.pointwise import Chain, chain_before, move_chain
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "kept"


@dataclass(frozen=True, slots=True)
class Cropped:
    """A convolution, what stands behind it, and the crop: of each axis the positions kept.

    ``crop`` is the output that the others read.
    """

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    chain: Chain
    crop: Ref
    kept: tuple[range, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Cropped]:
    """Yield convs with a crop of their positions behind them."""
    for node in context.graph:
        found = _window(context.graph, node)
        if found is None:
            continue
        chain = chain_before(context.graph, node.inputs[0])
        conv = context.graph[chain.source.node]
        if isinstance(conv.op, ir.Conv):
            ids = (conv.id, *chain.ids, node.id)
            yield Cropped(conv.id, ids, conv.op, chain, *found)


def _window(graph: ModelGraph, node: Node) -> tuple[Ref, tuple[range, ...]] | None:
    """Return what a crop writes and the positions it keeps; None where it crops no positions."""
    if not isinstance(node.op, (ir.Slice, ir.Pad, ir.Split)) or len(node.inputs) != 1:
        return None
    shape = graph.spec(node.inputs[0]).shape
    kept = [range(size) for size in shape]
    output = 0
    if isinstance(node.op, ir.Slice):
        for part in node.op.slices:
            kept[part.axis] = kept[part.axis][part.start : part.stop : part.step]
    elif isinstance(node.op, ir.Pad):
        if any(side > 0 for sides in node.op.amounts for side in sides):
            return None
        for axis, (before, after) in enumerate(node.op.amounts):
            kept[axis] = kept[axis][-before : shape[axis] + after]
    else:
        read = {ref.output for u in graph.users(node) for ref in u.inputs if ref.node == node.id}
        if len(read) != 1:
            return None
        output, axis = read.pop(), node.op.axis % len(shape)
        start = sum(node.op.sizes[:output])
        kept[axis] = range(start, start + node.op.sizes[output])
    if len(shape) < 3 or any(taken.step != 1 or not taken for taken in kept):
        return None
    whole = [taken == range(size) for taken, size in zip(kept, shape, strict=True)]
    return (Ref(node.id, output), tuple(kept[2:])) if all(whole[:2]) and not all(whole) else None


def guard(context: Context, site: Cropped, _options: contract.Options) -> Refusal | None:
    """Refuse results that others read, paddings that torch has not, and what saves nothing."""
    graph, op = context.graph, site.op
    if mixers.weight_of(graph[site.anchor]) is None or op.computed_weight:
        return Refusal("its kernel is computed in forward", site.nodes)
    tapped = tuple(key for key in site.nodes[:-1] if len(graph.users(graph[key])) > 1)
    if tapped:
        return Refusal("its result is read before the crop too", tapped)
    new = _cut(site, graph.spec(graph[site.anchor].inputs[0]).shape)
    if new is None:
        return Refusal(f"a transposed conv cannot leave out {_edges(graph, site)}", site.nodes)
    uneven = any(a != b or a < 0 for a, b in new.padding)
    if uneven and op.padding_mode != "zeros":
        return Refusal(f"its {op.padding_mode} padding would become uneven", site.nodes)
    saved = context.saves(_edit(graph, site))
    if saved.params < 0:
        return Refusal("its computed weight is used elsewhere too", site.nodes)
    if saved.macs < 0 or (not saved.macs and saved.bytes_moved <= 0):
        return Refusal("it would save no MACs and no bytes", site.nodes)
    return None


def _cut(site: Cropped, source: ir.Ints) -> ir.Conv | None:
    """Return the conv that writes the kept positions; None where no padding makes it so."""
    made = _transposed(site, source) if site.op.transposed else _forward(site, source)
    return None if made is None else msgspec.structs.replace(made, padding_word="")


def _forward(site: Cropped, source: ir.Ints) -> ir.Conv:
    """Shift the padding to the first position kept; an even one is taken where it does."""
    op = site.op
    padding = []
    for axis, taken in enumerate(site.kept):
        stride = op.stride[axis]
        before = op.padding[axis][0] - taken[0] * stride
        reach = op.dilation[axis] * (op.kernel[axis] - 1) + 1
        least = (len(taken) - 1) * stride + reach - source[axis + 2] - before
        padding.append((before, min(max(before, least), least + stride - 1)))
    return msgspec.structs.replace(op, padding=tuple(padding))


def _transposed(site: Cropped, source: ir.Ints) -> ir.Conv | None:
    """Cut more off the result; what is uneven has to fit the output padding."""
    op = site.op
    padding, extra = [], []
    for axis, taken in enumerate(site.kept):
        before = op.padding[axis][0] + taken[0]
        reach = op.dilation[axis] * (op.kernel[axis] - 1) + 1
        more = len(taken) - ((source[axis + 2] - 1) * op.stride[axis] - 2 * before + reach)
        if not 0 <= more < max(op.stride[axis], op.dilation[axis]):
            return None
        padding.append((before, before))
        extra.append(more)
    return msgspec.structs.replace(op, padding=tuple(padding), output_padding=tuple(extra))


def rewrite(context: Context, site: Cropped, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the conv that computes the kept positions alone."""
    return (Rewrite("the kept positions alone", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Cropped) -> GraphEdit:
    node = graph[site.anchor]
    shape = graph.spec(node.inputs[0]).shape
    op = _cut(site, shape)
    assert op is not None
    made = drafting.draft_conv(node, SUFFIX, op, node.inputs[0], shape)
    computed = any(param.role.endswith("_part") for param in node.params)
    new = msgspec.structs.replace(
        made, params=made.params if computed else node.params, inplace=False
    )
    behind = move_chain(site.chain.nodes, SUFFIX, Ref(new.id), new.output.shape)
    added, last = [new, *behind], Ref(behind[-1].id if behind else new.id)
    wanted = graph.spec(site.crop)
    if wanted.shape != new.output.shape:  # an index took an axis away
        added.append(drafting.draft(graph[site.crop.node], SUFFIX, ir.Reshape(), last, wanted))
        last = Ref(added[-1].id)
    return GraphEdit(frozenset(site.nodes), tuple(added), {site.crop: last})


def advise(
    context: Context, sites: tuple[Cropped, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    node = context.graph[site.anchor]
    new = _cut(site, context.graph.spec(node.inputs[0]).shape)
    assert new is not None
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)})"
    return contract.Advice(
        message=f"{mixers.words(node)}{among} computes {drafting.extent(node.output.shape[2:])} "
        f"positions and a crop keeps {drafting.extent([len(taken) for taken in site.kept])}: "
        f"{_edges(context.graph, site)} are for nothing",
        instead=_code(node, new),
        risk="same function, and old checkpoints load as they are; where the crop is to a fixed size, "
        "the padding holds for this input size",
    )


def _edges(graph: ModelGraph, site: Cropped) -> str:
    """Return "0 before and 384 after", of each axis that is cropped."""
    sizes = zip(graph[site.anchor].output.shape[2:], site.kept, strict=True)
    parts = [f"{t[0]} before and {size - 1 - t[-1]} after" for size, t in sizes if len(t) < size]
    return " by ".join(parts)


def _code(node: Node, new: ir.Conv) -> str:
    """Return the new layer, and the padding that it cannot do itself."""
    if new.transposed or all(before == after >= 0 for before, after in new.padding):
        return f"{drafting.chain_code(node, new)}\n# without the crop"
    sides = [side for pair in reversed(new.padding) for side in pair]
    plain = msgspec.structs.replace(new, padding=((0, 0),) * len(new.kernel))
    return f"{drafting.chain_code(node, plain)}\n# on F.pad(x, {tuple(sides)}), without the crop"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL418",
        name="cropped-positions",
        summary="a convolution computes positions that a crop throws away",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.cropped_positions.apply:weights",
)
