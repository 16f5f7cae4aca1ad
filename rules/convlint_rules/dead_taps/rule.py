"""CL102 dead-taps: taps of a kernel that only ever read padding.

What it does
------------
Finds convolutions on maps so small that some taps of the kernel lie in the padding at every
position: a dilation as large as the map, 3x3 on 1x1, 5x5 on 2x2. Zeros that a Pad puts around the
map before the convolution (nn.ZeroPad2d, F.pad, the "same" padding that ports of TensorFlow models
compute in forward) are padding like its own. It tells as information of those whose every tap reads
data somewhere, but less than a quarter of their products do.

Why it costs
------------
Padding is zeros: what is multiplied with it adds nothing. Libraries do the products all the same,
and the weights of dead taps are stored, read and, in training, never get a gradient.

Example
-------
    self.conv = nn.Conv2d(2048, 256, 3, padding=36, dilation=36)  # on a 28x28 map

Use instead
-----------
    self.conv = nn.Conv2d(2048, 256, 1)

    old["conv.weight"] = old["conv.weight"][:, :, 1:2, 1:2]  # once, for old checkpoints

or, so that the taps read data: a larger input or a smaller dilation. Or leave the layer out.

Savings
-------
MACs and weights times 1 - (taps kept / taps). Where a Pad brought the zeros, also what it wrote:
the smaller kernel pads by itself, or, where one side needs more than the other, a smaller Pad stays.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
resnet18 at 32x32: 0.70, 0.42, 0.90, 0.99.

When not to apply
-----------------
True at the size of the trace only: at a larger input the taps read data. Where the model runs at
several sizes, declare them (inputs = [["1x3x224x224"], ["1x3x520x520"]]): it is found only where
the same taps are dead at all. At a size that was guessed it counts in no total and apply leaves it.
Silent where borders are not padded with zeros (a Pad of another constant, a mirror, a wrap), on
transposed and computed kernels, where a shared layer also runs on larger maps, and where a second
Pad beside one that others read would move more bytes than the MACs saved are worth.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, OpenVINO, TVM, XLA, Inductor, ncnn, coremltools).

Options
-------
min-valid-share = 0.25: layers of which a smaller share of the products reads data are told of.

References
----------
DeepLabv3, arXiv 1706.05587 (3.3, Figure 4): a 3x3 kernel "degenerates to a simple 1x1 filter".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from convlint_rules.dead_taps import words
from convlint_rules.dead_taps.borders import uneven, unread
from convlint_rules.dead_taps.sites import Taps, taps_of

from convlint import contract
from convlint.analysis import drafting, mixers, neighbours, pointwise
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

SUFFIX = "live"


class DeadTapsOptions(contract.Options, frozen=True):
    """Options of CL102."""

    min_valid_share: float = 0.25


def find(context: Context, options: DeadTapsOptions) -> Iterator[Taps]:
    """Yield convs with dead taps, and those whose products are mostly with padding."""
    for node, _ in neighbours.convs(context.graph):
        site = taps_of(context.graph, node)
        if site is not None and (site.dead or _mostly_padding(site, options)):
            yield site


def _mostly_padding(site: Taps, options: DeadTapsOptions) -> bool:
    odd = site.op.transposed or site.op.padding_mode != "zeros"
    return not odd and site.share < options.min_valid_share


def guard(context: Context, site: Taps, options: DeadTapsOptions) -> Refusal | None:
    """Refuse other borders than zeros, computed kernels, and layers that run elsewhere too."""
    node, op = context.graph[site.anchor], site.op
    reasons = {
        "it is transposed: its dead taps lie in what is cut off its result": op.transposed,
        f"its padding is {op.padding_mode}: every tap reads data": op.padding_mode != "zeros",
        "its kernel is computed in forward": mixers.weight_of(node) is None or op.computed_weight,
        "no tap ever reads data: its result is its bias": not all(axis.live for axis in site.axes),
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if reason is not None:
        return Refusal(reason, site.nodes)
    for other in mixers.sharing(context.graph, node):
        needed = taps_of(context.graph, other)
        where = other.module or other.id
        if needed is None or not _alike(needed, site, options):
            return Refusal(f"{where} uses the same weight where other taps live", (other.id,))
        loss = _loss(context, needed)
        if loss is not None:
            return Refusal(
                f"{where} would need a Pad beside the one that others read, and {loss}",
                needed.nodes,
            )
    return None


def _loss(context: Context, site: Taps) -> str | None:
    """Return why a second Pad does not pay; None where it does, or none is needed."""
    graph, node = context.graph, context.graph[site.anchor]
    if not site.dead or not _padded(site) or unread(graph, node, site.border) == site.border.pads:
        return None
    saved = context.saves(_edit(graph, site))
    return pointwise.loss(saved, context.target.number("ridge"))


def _padded(site: Taps) -> bool:
    """Tell whether a Pad has to stay before the convolution that is left."""
    return bool(site.border.pads) and uneven(site.new.padding)


def _alike(other: Taps, site: Taps, options: DeadTapsOptions) -> bool:
    """Tell whether another use of the weight needs the same taps."""
    if other.op.transposed or other.op.padding_mode != "zeros":
        return False
    if not site.dead:
        return not other.dead and _mostly_padding(other, options)
    return other.kept == site.kept


def rewrite(context: Context, site: Taps, _options: DeadTapsOptions) -> tuple[Rewrite, ...]:
    """Return the conv with the taps that read data; nothing is promised where all do."""
    kernel = drafting.extent(site.new.kernel)
    return (Rewrite(f"kernel {kernel}", _edit(context.graph, site), claimed=site.dead),)


def _edit(graph: ModelGraph, site: Taps) -> GraphEdit:
    """Put the conv on the map under the Pads, and take those out that nobody else reads."""
    node = graph[site.anchor]
    added = _drafts(graph, node, site)
    gone = unread(graph, node, site.border)
    redirect = {Ref(node.id): Ref(added[-1].id)}
    left = [graph[pad] for pad in site.border.pads[len(gone) :][:1]]
    if any(isinstance(u.op, ir.Conv) and u.id != node.id for pad in left for u in graph.users(pad)):
        # made anew, so that of the convs on one Pad each has its round, and the last takes it out
        added.append(msgspec.structs.replace(left[0], id=f"{left[0].id}~{SUFFIX}"))
        redirect[Ref(left[0].id)] = Ref(added[-1].id)
        gone = (*gone, left[0].id)
    return GraphEdit(frozenset({node.id, *gone}), tuple(added), redirect)


def _drafts(graph: ModelGraph, node: Node, site: Taps) -> list[Node]:
    """Return the conv with the taps it needs, after a Pad of what it cannot pad itself."""
    op, source, made = site.new, site.border.source, []
    shape = graph.spec(source).shape
    if _padded(site):
        sides = ((0, 0), (0, 0), *op.padding)
        shape = tuple(size + sum(pair) for size, pair in zip(shape, sides, strict=True))
        spec = TensorSpec(shape, graph.spec(source).dtype)
        made.append(drafting.draft(node, "pad", ir.Pad(sides), source, spec))
        source = Ref(made[0].id)
        op = msgspec.structs.replace(op, padding=((0, 0),) * len(op.kernel))
    new = drafting.draft_conv(node, SUFFIX, op, source, shape)
    return [*made, msgspec.structs.replace(new, inplace=False)]


def advise(context: Context, sites: tuple[Taps, ...], _options: DeadTapsOptions) -> contract.Advice:
    """Word the finding by its dearest conv with dead taps, else by its dearest one."""
    site = max(sites, key=lambda site: (site.dead, context.cost.macs_of(site.anchor)))
    node = context.graph[site.anchor]
    inputs = " and ".join(drafting.extent(n.output.shape) for n in context.graph.model_inputs)
    message = f"{words.what(site)}: {words.waste(site)}, at input {inputs}"
    others = [other for other in sites if other is not site]
    if others:
        message += f"; {words.beside(others)}"
    if not site.dead:
        return contract.Advice(
            message=message,
            instead="# a smaller dilation, a larger input, or without the layer\n"
            f"{words.smaller(node, site)}",
            risk="another function, retrain; the share is that of this input size only",
            severity=Severity.INFO,
        )
    return contract.Advice(
        message=message,
        instead=words.code(node, site),
        risk="same function at this input size only; a larger input or a smaller dilation would let "
        "the taps read data; weights of old checkpoints are cropped",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL102",
        name="dead-taps",
        summary="a kernel with taps that only ever read padding",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
        at_size=True,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=DeadTapsOptions,
    weights="convlint_rules.dead_taps.apply:weights",
)
