"""CL402 pointwise-after-upsample: a 1x1 convolution on a map that was upsampled right before.

What it does
------------
Finds 1x1 convolutions (stride 1, no padding, any groups) that read an upsampled, expanded or
tiled map. Dropout and batch norms may stand between; after nearest neighbours, which only copy,
activations too.

Why it costs
------------
Interpolation mixes positions of one channel with weights that sum to 1, the convolution mixes the
channels of one position: their order is free. After the upsampling there are more positions to
convolve, four times as many for a factor of 2.

Example
-------
    x = F.interpolate(x, scale_factor=2, mode="bilinear")
    x = self.reduce(x)  # nn.Conv2d(256, 64, 1)

Use instead
-----------
    x = self.reduce(x)
    x = F.interpolate(x, scale_factor=2, mode="bilinear")

Savings
-------
Of the convolution's MACs the share of positions that the upsampling adds: 75 % for a factor of 2.
No parameters. Bytes: 2 x (Cin x new positions - Cout x old ones), and an interpolation of Cout
channels in place of Cin.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
lraspp_mobilenet_v3_large: 1.00, -, 1.02, 1.01; bilinear x2, then a 1x1 256->64: 0.36, 0.35, 0.23,
0.56.

When not to apply
-----------------
Exact for nearest, linear, bilinear, trilinear, bicubic and area interpolation, with a bias, with
align_corners and antialias (errors up to 9e-16 in float64). Silent where an activation stands
between (but for nearest neighbours), where anything but 1x1 convolutions reads the upsampled map
too, and where the convolution widens so much that the interpolation of its result costs more than
the MACs saved, or that less than min-macs-per-byte MACs are saved for each byte that is moved more.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, onnxoptimizer, onnxscript, OnnxSlim, ncnn, TVM, XLA,
Inductor, OpenVINO, coremltools).

Options
-------
min-macs-per-byte = 4.0: MACs saved for each byte that is moved more.

References
----------
Linearity of both; torchvision's LR-ASPP has such a place (high_classifier, 0.4 % of the MACs).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, mixers, pointwise
from convlint.analysis.pointwise import Chain
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "low"


class PointwiseAfterUpsampleOptions(contract.Options, frozen=True):
    """Options of CL402."""

    min_macs_per_byte: float = 4.0


@dataclass(frozen=True, slots=True)
class Reader:
    """A 1x1 convolution by its id, and what stands between the upsampling and it."""

    conv: str
    chain: Chain

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all its nodes."""
        return (*self.chain.ids, self.conv)


@dataclass(frozen=True, slots=True)
class Upsampled:
    """An upsampling and the 1x1 convolutions that read it; the first is the anchor."""

    anchor: str
    nodes: tuple[str, ...]
    growth: str
    readers: tuple[Reader, ...]


def find(context: Context, _options: PointwiseAfterUpsampleOptions) -> Iterator[Upsampled]:
    """Yield upsamplings whose result a 1x1 convolution reads."""
    graph = context.graph
    found: dict[str, list[Reader]] = {}
    for node in graph:
        if pointwise.is_pointwise(node.op):
            chain = pointwise.chain_before(graph, node.inputs[0])
            if pointwise.grows(graph, graph[chain.source.node]):
                found.setdefault(chain.source.node, []).append(Reader(node.id, chain))
    for growth, readers in found.items():
        ids = dict.fromkeys(key for reader in readers for key in reader.ids)
        yield Upsampled(readers[0].conv, (growth, *ids), growth, tuple(readers))


def guard(
    context: Context, site: Upsampled, options: PointwiseAfterUpsampleOptions
) -> Refusal | None:
    """Refuse what is not the same function before the upsampling, or would not pay there."""
    graph = context.graph
    growth = graph[site.growth]
    for reader in site.readers:
        conv, bend = graph[reader.conv].op, reader.chain.bend()
        if isinstance(conv, ir.Conv) and conv.computed_weight:
            return Refusal("its weight is computed in forward", (reader.conv,))
        if bend is not None and not pointwise.copies(graph, growth):
            word = bend.op.fn if isinstance(bend.op, (ir.Activation, ir.Elementwise)) else bend.kind
            return Refusal(f"{word} stands between", (bend.id,))
    tapped = _tapped(graph, site)
    if tapped:
        return Refusal("the upsampled map has other readers", tapped)
    why = pointwise.loss(context.saves(_edit(graph, site)), options.min_macs_per_byte)
    return None if why is None else Refusal(why, site.nodes)


def _tapped(graph: ModelGraph, site: Upsampled) -> tuple[str, ...]:
    """Return the nodes whose result somebody else reads, too."""
    inside = set(site.nodes)
    first = {reader.ids[0] for reader in site.readers}
    tapped = [n for reader in site.readers for n in reader.chain.nodes if len(graph.users(n)) > 1]
    growth = graph[site.growth]
    if any(user.id not in inside or user.id not in first for user in graph.users(growth)):
        tapped.append(growth)
    return tuple(node.id for node in tapped)


def rewrite(
    context: Context, site: Upsampled, _options: PointwiseAfterUpsampleOptions
) -> tuple[Rewrite, ...]:
    """Return the convolutions on the small map, each result upsampled."""
    return (Rewrite("convolved before it grows", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Upsampled) -> GraphEdit:
    growth = graph[site.growth]
    source = growth.inputs[0]
    shape = graph.spec(source).shape
    added: list[Node] = []
    redirect = {}
    for place, reader in enumerate(site.readers):
        conv = graph[reader.conv]
        chain = pointwise.move_chain(reader.chain.nodes, SUFFIX, source, shape)
        last = Ref(chain[-1].id) if chain else source
        low = pointwise.moved(conv, SUFFIX, last, (*conv.output.shape[:2], *shape[2:]))
        suffix = f"{SUFFIX}{place}" if place else SUFFIX
        grown = pointwise.moved(growth, suffix, Ref(low.id), conv.output.shape)
        added += [*chain, low, grown]
        redirect[Ref(conv.id)] = Ref(grown.id)
    return GraphEdit(frozenset(site.nodes), tuple(added), redirect)


def advise(
    context: Context, sites: tuple[Upsampled, ...], _options: PointwiseAfterUpsampleOptions
) -> contract.Advice:
    """Word the finding by its dearest place."""
    graph = context.graph
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    conv, growth = graph[site.anchor], graph[site.growth]
    low, high = graph.spec(growth.inputs[0]).shape, growth.output.shape
    count = len({reader.conv for each in sites for reader in each.readers})
    among = "" if count == 1 else f" (and {count - 1} more)"
    after = pointwise.positions(low)
    code = mixers.code(conv)
    return contract.Advice(
        message=f"{mixers.words(conv)}{among} runs on {drafting.extent(high[2:])}, after "
        f"{pointwise.resize_words(graph, growth)}: before it, it runs on {after} "
        f"position{'' if after == 1 else 's'} in place of {pointwise.positions(high)}, and the "
        "result is the same",
        instead=f"x = conv(x)  # {code}\nx = {pointwise.resize_code(growth)}",
        risk="same function; old checkpoints load as they are (in an nn.Sequential the numbers in "
        "their keys change)",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL402",
        name="pointwise-after-upsample",
        summary="a 1x1 convolution on an upsampled map: convolve first",
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
    options=PointwiseAfterUpsampleOptions,
)
