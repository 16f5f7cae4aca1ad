"""CL405 conv-after-nearest-upsample: a convolution that reads every value several times over.

What it does
------------
Finds convolutions of stride 1 that read a map which nearest upsampling by a whole factor made, also
where it is one part of a concatenation.

Why it costs
------------
After nearest x2 a 3x3 multiplies four copies of each value by different taps: 36 products an input
pixel. Taps that meet copies of one value can be summed first: a transposed convolution of 4x4 with
stride 2 does the same, borders included, with 16.

Example
-------
    x = F.interpolate(x, scale_factor=2)
    x = self.conv(x)                                  # nn.Conv2d(64, 64, 3, padding=1)

Use instead
-----------
    x = self.up(x)                                    # nn.ConvTranspose2d(64, 64, 4, 2, 1)

and through a concatenation, with the kernel cut along its input channels:

    x = self.up(low) + self.conv(skip)

Savings
-------
MACs of the layer times 1 - ((k + r - 1) / (r k))^2 for factor r: 56 % for 3x3 after x2, 64 % for
5x5, 75 % for 3x3 after x4; and the upsampled map is neither written nor read. Weights grow by
((k + r - 1) / k)^2.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
smp Unet, resnet18: 0.90, -, 1.04, 0.86; nearest x2, then a 3x3 64->64: 1.11, 0.52, 1.13, 0.75.

When not to apply
-----------------
The same function; old checkpoints need the new kernel (convlint apply makes it). Runtimes differ:
on one CPU core torch.compile and OpenVINO were faster, eager PyTorch (1.11 of the time for the
step above) and ONNX Runtime (1.13) slower: convlint measure. An info for the target eager. Silent
on bilinear upsampling (its borders differ), factors that are no whole numbers, strided and
dilated kernels, padding that is not of zeros or wider than the kernel, and where the upsampled
map is read elsewhere.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, OpenVINO, TVM, XLA, Inductor, coremltools).

Options
-------
None.

References
----------
Shi et al., arXiv 1609.05158, and Aitken et al., arXiv 1707.02937: sub-pixel convolution and
resize convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

NEAREST = ("nearest", "nearest-exact")


@dataclass(frozen=True, slots=True)
class Part:
    """Input channels of a convolution: from ``start`` on ``channels``, read from ``source``.

    ``scale`` is the factor of each axis that upsampled them, None where nothing did.
    """

    source: Ref
    start: int
    channels: int
    scale: ir.Ints | None = None

    @property
    def suffix(self) -> str:
        """What tells the part's new layer from the others, the same for the same weights."""
        grown = "" if self.scale is None else f"x{'x'.join(map(str, self.scale))}"
        return f"part{self.start}to{self.start + self.channels}{grown}"


@dataclass(frozen=True, slots=True)
class Grown:
    """A convolution and the parts of its input; ``nodes`` is what goes, upsamplings included."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    parts: tuple[Part, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Grown]:
    """Yield convs of several taps that read nearest upsampled channels, alone or joined."""
    for node, op in neighbours.convs(context.graph):
        if op.taps > 1 and not op.transposed:
            site = _site(context.graph, node, op)
            if site is not None:
                yield site


def _site(graph: ModelGraph, node: Node, op: ir.Conv) -> Grown | None:
    source, passed = _through(graph, node.inputs[0])
    joined = graph[source.node]
    refs: tuple[Ref, ...] = (source,)
    if isinstance(joined.op, ir.Concat) and joined.op.axis == 1:
        refs = joined.inputs
        passed = (*passed, joined.id)
    parts: list[Part] = []
    grown: list[str] = []
    start = 0
    for ref in refs:
        channels = graph.spec(ref).shape[1]
        inner, between = _through(graph, ref)
        up = graph[inner.node]
        scale = _scale(graph, up)
        if scale is None:
            parts.append(Part(ref, start, channels))
        else:
            parts.append(Part(up.inputs[0], start, channels, scale))
            grown += [up.id, *between]
        start += channels
    if not grown:
        return None
    return Grown(node.id, (*dict.fromkeys((*grown, *passed)), node.id), op, tuple(parts))


def _through(graph: ModelGraph, ref: Ref) -> tuple[Ref, tuple[str, ...]]:
    """Return what is read when nothing-in-eval operations are looked through, and those."""
    passed = []
    node = graph[ref.node]
    while isinstance(node.op, ir.Identity) and graph.spec(node.inputs[0]) == node.output:
        passed.append(node.id)
        ref = node.inputs[0]
        node = graph[ref.node]
    return ref, tuple(passed)


def _scale(graph: ModelGraph, node: Node) -> ir.Ints | None:
    """Return the whole factors of a nearest upsampling that enlarges, None for other nodes."""
    if not isinstance(node.op, ir.Upsample) or node.op.mode not in NEAREST:
        return None
    if node.op.factors:
        return None
    before, after = graph.spec(node.inputs[0]).shape[2:], node.output.shape[2:]
    if any(b == 0 or a % b for b, a in zip(before, after, strict=True)):
        return None
    scale = tuple(a // b for b, a in zip(before, after, strict=True))
    return scale if max(scale) > 1 else None


def guard(context: Context, site: Grown, _options: contract.Options) -> Refusal | None:
    """Refuse what would not be the same at the borders, is read elsewhere or saves nothing."""
    op, graph = site.op, context.graph
    kernel = drafting.extent(op.kernel)
    pairs = zip(op.kernel, op.padding, strict=True)
    odd = any(before != after or not 0 <= before < k for k, (before, after) in pairs)
    reasons = {
        f"stride {drafting.short(op.stride)}": max(op.stride) > 1,
        f"dilation {drafting.short(op.dilation)}": max(op.dilation) > 1,
        f"its padding is uneven, or wider than {kernel}": odd,
        f"its padding is {op.padding_mode}": op.padding_mode != "zeros",
        "its kernel is computed, not a parameter": op.computed_weight,
        f"groups={op.groups} across a concatenation": op.groups > 1 and len(site.parts) > 1,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if reason is not None:
        return Refusal(reason, site.nodes)
    tapped = [key for key in site.nodes[:-1] if len(graph.users(graph[key])) > 1]
    if tapped:
        return Refusal("the upsampled map has other readers", tuple(tapped))
    saved = context.saves(_edit(graph, site))
    if saved.macs <= 0:
        return Refusal(f"it would cost {-saved.macs} MACs more", site.nodes)
    return None


def rewrite(context: Context, site: Grown, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return a transposed convolution for each upsampled part, one convolution for the others."""
    return (Rewrite("transposed at the low resolution", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Grown) -> GraphEdit:
    node = graph[site.anchor]
    made: list[Node] = []
    terms: list[Ref] = []
    for part, op in layers(site):
        source, shape = part.source, graph.spec(part.source).shape
        new = drafting.draft_conv(node, part.suffix, op, source, shape)
        made.append(msgspec.structs.replace(new, inplace=False))
        terms.append(Ref(new.id))
    kept = [part for part in site.parts if part.scale is None]
    if len(kept) > 1:
        made = [*_joined(graph, node, kept), *made]
        made[1] = msgspec.structs.replace(made[1], inputs=(Ref(made[0].id),))
    for place, term in enumerate(terms[1:]):
        total = Node(
            f"{node.id}~sum{place}", ir.Add(), (terms[0], term), node.outputs, module=node.module
        )
        made.append(total)
        terms[0] = Ref(total.id)
    return GraphEdit(frozenset(site.nodes), tuple(made), {Ref(node.id): terms[0]})


def _joined(graph: ModelGraph, node: Node, kept: list[Part]) -> tuple[Node]:
    """Return the concatenation of the parts that were not upsampled."""
    shape = graph.spec(kept[0].source).shape
    channels = sum(part.channels for part in kept)
    spec = TensorSpec((shape[0], channels, *shape[2:]), node.output.dtype)
    refs = tuple(part.source for part in kept)
    return (Node(f"{node.id}~kept", ir.Concat(1), refs, (spec,), module=node.module),)


def layers(site: Grown) -> Iterator[tuple[Part, ir.Conv]]:
    """Yield the new layers in order: what they read, and the operation; the first has the bias.

    Parts that were not upsampled are one layer, the first; of several the channels are joined.
    """
    kept = [part for part in site.parts if part.scale is None]
    bias = site.op.bias
    if kept:
        channels = sum(part.channels for part in kept)
        first = kept[0]
        if len(kept) > 1:
            places = "_".join(f"{part.start}to{part.start + part.channels}" for part in kept)
            first = _Several(first.source, first.start, channels, None, places)
        yield first, msgspec.structs.replace(site.op, in_channels=channels, padding_word="")
        bias = False
    for part in site.parts:
        if part.scale is not None:
            yield part, transposed(site.op, part, bias=bias)
            bias = False


@dataclass(frozen=True, slots=True)
class _Several(Part):
    """Several parts joined; ``places`` tells which channels."""

    places: str = ""

    @property
    def suffix(self) -> str:
        """What tells the joined parts from others."""
        return f"part{self.places}"


def transposed(op: ir.Conv, part: Part, *, bias: bool) -> ir.Conv:
    """Return the transposed convolution that does upsampling and convolution at once.

    Per axis its kernel is k + r - 1, its stride r, its padding k - 1 - p: tap j of it is the sum of
    the r taps that meet copies of one value.
    """
    assert part.scale is not None
    kernel = tuple(k + r - 1 for k, r in zip(op.kernel, part.scale, strict=True))
    return msgspec.structs.replace(
        op,
        in_channels=part.channels,
        kernel=kernel,
        stride=part.scale,
        padding=tuple(
            (k - 1 - after, k - 1 - before)
            for k, (before, after) in zip(op.kernel, op.padding, strict=True)
        ),
        transposed=True,
        output_padding=(0,) * len(kernel),
        bias=bias,
        padding_word="",
    )


def advise(
    context: Context, sites: tuple[Grown, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    op, node = site.op, context.graph[site.anchor]
    part = next(part for part in site.parts if part.scale is not None)
    assert part.scale is not None
    factor = drafting.short(part.scale)
    new = transposed(op, part, bias=op.bias and len(site.parts) == 1)
    grown = [p for p in site.parts if p.scale is not None]
    if len(site.parts) == len(grown) == 1:
        what = f"reads nearest x{factor} upsampling"
        code = drafting.conv_code(new)
    else:
        count = sum(p.channels for p in grown)
        what = f"reads {count} of its {op.in_channels} channels from nearest x{factor} upsampling"
        code = f"up(low) + conv(skip)  # up = {drafting.conv_code(new)}"
    times = 1
    for k, r in zip(op.kernel, part.scale, strict=True):
        times *= k * r
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)})"
    return contract.Advice(
        message=f"{drafting.extent(op.kernel)} {drafting.channels(op)} at "
        f"{drafting.extent(node.output.shape[2:])}{among} {what}: {times} products an input value "
        f"where the equal transposed {drafting.extent(new.kernel)} does {new.taps}",
        instead=code,
        risk="same function, borders included; old checkpoints need the summed kernel, which "
        "convlint apply makes; time it on your runtime: convlint measure",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL405",
        name="conv-after-nearest-upsample",
        summary="a convolution of a nearest upsampled map: a transposed one does the same",
        severity=Severity.WARNING,
        severity_by_profile={"eager": Severity.INFO},
        exact=True,
        since="0.2.0",
        yields_to=("CL402", "CL403"),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.conv_after_nearest_upsample.apply:weights",
)
