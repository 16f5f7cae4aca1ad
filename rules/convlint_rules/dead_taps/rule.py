"""CL102 dead-taps: taps of a kernel that only ever read padding.

What it does
------------
Finds convolutions on maps so small that some taps of the kernel lie in the padding at every
position: a dilation as large as the map, 3x3 on 1x1, 5x5 on 2x2. It tells as information of those
whose every tap reads data somewhere, but less than a quarter of their products do.

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
MACs and weights times 1 - (taps kept / taps).

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
resnet18 at 32x32: 0.70, 0.42, 0.90, 0.99.

When not to apply
-----------------
True at the size of the trace only: at a larger input the taps read data. Where the model runs at
several sizes, declare them (inputs = [["1x3x224x224"], ["1x3x520x520"]]): it is found only where
the same taps are dead at all. At a size that was guessed it counts in no total and apply leaves it.
Silent where borders are not padded with zeros, on transposed and computed kernels, and where a
shared layer also runs on larger maps.

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

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from convlint_rules.dead_taps.taps import Axis, axes_of, cropped

from convlint import contract
from convlint.analysis import drafting, mixers, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit, replace_node
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node

SUFFIX = "live"


class DeadTapsOptions(contract.Options, frozen=True):
    """Options of CL102."""

    min_valid_share: float = 0.25


@dataclass(frozen=True, slots=True)
class Taps:
    """A convolution, its axes, and the taps that it needs; all of them where none is dead."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    axes: tuple[Axis, ...]
    kept: tuple[range, ...]

    @property
    def dead(self) -> bool:
        """Whether taps may go without a change of the function."""
        return math.prod(map(len, self.kept)) < self.op.taps

    @property
    def share(self) -> float:
        """The share of the products that read data."""
        return math.prod(axis.share for axis in self.axes)

    @property
    def new(self) -> ir.Conv:
        """The convolution with the taps it needs; with the busiest one where none is dead."""
        kept = self.kept if self.dead else tuple(axis.busiest for axis in self.axes)
        return cropped(self.op, self.axes, kept)


def find(context: Context, options: DeadTapsOptions) -> Iterator[Taps]:
    """Yield convs with dead taps, and those whose products are mostly with padding."""
    for node, _ in neighbours.convs(context.graph):
        site = _taps(context.graph, node)
        if site is not None and (site.dead or _mostly_padding(site, options)):
            yield site


def _taps(graph: ModelGraph, node: Node) -> Taps | None:
    """Return the taps of a convolution; None for other nodes and where nothing is computed."""
    op = node.op
    if not isinstance(op, ir.Conv) or not node.output.elements:
        return None
    axes = axes_of(op, graph.spec(node.inputs[0]).shape, node.output.shape)
    return Taps(node.id, (node.id,), op, axes, tuple(axis.kept for axis in axes))


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
        if not _alike(_taps(context.graph, other), site, options):
            where = other.module or other.id
            return Refusal(f"{where} uses the same weight where other taps live", (other.id,))
    return None


def _alike(other: Taps | None, site: Taps, options: DeadTapsOptions) -> bool:
    """Tell whether another use of the weight needs the same taps."""
    if other is None or other.op.transposed or other.op.padding_mode != "zeros":
        return False
    if not site.dead:
        return not other.dead and _mostly_padding(other, options)
    return other.kept == site.kept


def rewrite(context: Context, site: Taps, _options: DeadTapsOptions) -> tuple[Rewrite, ...]:
    """Return the conv with the taps that read data; nothing is promised where all do."""
    kernel = drafting.extent(site.new.kernel)
    return (Rewrite(f"kernel {kernel}", _edit(context.graph, site), claimed=site.dead),)


def _edit(graph: ModelGraph, site: Taps) -> GraphEdit:
    node = graph[site.anchor]
    shape = graph.spec(node.inputs[0]).shape
    new = drafting.draft_conv(node, SUFFIX, site.new, node.inputs[0], shape)
    return replace_node(node, (msgspec.structs.replace(new, inplace=False),))


def advise(context: Context, sites: tuple[Taps, ...], _options: DeadTapsOptions) -> contract.Advice:
    """Word the finding by its dearest conv with dead taps, else by its dearest one."""
    site = max(sites, key=lambda site: (site.dead, context.cost.macs_of(site.anchor)))
    node = context.graph[site.anchor]
    inputs = " and ".join(drafting.extent(n.output.shape) for n in context.graph.model_inputs)
    message = f"{_what(site)}: {_waste(site)}, at input {inputs}"
    others = [other for other in sites if other is not site]
    if others:
        message += f"; {_beside(others)}"
    if not site.dead:
        return contract.Advice(
            message=message,
            instead="# a smaller dilation, a larger input, or without the layer\n"
            f"{_smaller(node, site)}",
            risk="another function, retrain; the share is that of this input size only",
            severity=Severity.INFO,
        )
    return contract.Advice(
        message=message,
        instead=_code(node, site),
        risk="same function at this input size only; a larger input or a smaller dilation would let "
        "the taps read data; weights of old checkpoints are cropped",
    )


def _what(site: Taps) -> str:
    """Return "3x3 kernel (dilation 36) on 28x28"."""
    op = site.op
    spread = f" (dilation {drafting.short(op.dilation)})" if max(op.dilation) > 1 else ""
    size = drafting.extent([axis.size for axis in site.axes])
    return f"{drafting.extent(op.kernel)} kernel{spread} {drafting.channels(op)} on {size}"


def _waste(site: Taps) -> str:
    kept, taps = drafting.extent([len(taps) for taps in site.kept]), site.op.taps
    if not site.dead:
        return f"only {site.share:.0%} of its products read data, the rest padding zeros"
    wasted = 1 - math.prod(map(len, site.kept)) / taps
    return (
        f"only {kept} of {drafting.extent(site.op.kernel)} taps ever read data, {wasted:.0%} of its "
        "MACs and weights meet padding zeros"
    )


def _beside(others: list[Taps]) -> str:
    """Word the other convs of the line: how many have dead taps, how little the rest reads."""
    parts = []
    dead = sum(other.dead for other in others)
    if dead:
        parts.append(f"{dead} more with dead taps")
    shares = [other.share for other in others if not other.dead]
    if shares:
        less = f"{min(shares):.0%}" if len(shares) == 1 else f"{min(shares):.0%} or more"
        parts.append(f"{len(shares)} more read data with {less} of their products")
    return ", ".join(parts)


def _smaller(node: Node, site: Taps) -> str:
    """Return the conv with half the dilation, and the padding that goes with it."""
    op = site.op
    dilation = tuple(max(1, d // 2) for d in op.dilation)
    half = zip(op.padding, op.kernel, op.dilation, dilation, strict=True)
    padding = tuple(
        (max(0, a - (d - new) * (k - 1) // 2), max(0, b - (d - new) * (k - 1) // 2))
        for (a, b), k, d, new in half
    )
    new = msgspec.structs.replace(op, dilation=dilation, padding=padding, padding_word="")
    return drafting.chain_code(node, new)


def _code(node: Node, site: Taps) -> str:
    """Return the new layer, the padding that it cannot do itself, and the mapping of weights."""
    new = site.new
    lines = [drafting.chain_code(node, new)]
    if any(before != after or before < 0 for before, after in new.padding):
        sides = [side for pair in reversed(new.padding) for side in pair]
        plain = msgspec.structs.replace(new, padding=((0, 0),) * len(new.kernel))
        lines = [drafting.chain_code(node, plain), f"# on F.pad(x, {tuple(sides)})"]
    return "\n".join([*lines, f"# old checkpoints, once: {_mapping(node, site)}"])


def _mapping(node: Node, site: Taps) -> str:
    weight = mixers.weight_of(node)
    key = f'old["{weight.name if weight else "weight"}"]'
    cut = ", ".join(_slice(taps) for taps in site.kept)
    if any(param.role == "weight_part" for param in node.params):
        return f"fold what computes the weight into it, then weight[:, :, {cut}]"
    return f"{key} = {key}[:, :, {cut}]"


def _slice(taps: range) -> str:
    step = f":{taps.step}" if len(taps) > 1 and taps.step > 1 else ""
    return f"{taps[0]}:{taps[-1] + 1}{step}"


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
