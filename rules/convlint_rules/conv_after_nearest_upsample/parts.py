"""Convolutions that read nearest upsampled channels, and the layers that take their place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from convlint.analysis import neighbours, pointwise
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

MOST_FACTOR = 40
"""From 41 on torch's index, the position times 1 / factor in float32, falls short of some copies."""


@dataclass(frozen=True, slots=True)
class Part:
    """Input channels of a convolution: from ``start`` on ``channels``, read from ``source``.

    ``scale`` is the factor of each axis that upsampled them, None where nothing did; ``chain`` are
    the operations on each value that came after it.
    """

    source: Ref
    start: int
    channels: int
    scale: ir.Ints | None = None
    chain: tuple[Node, ...] = ()

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


def places(graph: ModelGraph) -> Iterator[Grown]:
    """Yield convs of several taps that read nearest upsampled channels, alone or joined."""
    for node, op in neighbours.convs(graph):
        if op.taps > 1 and not op.transposed:
            site = _site(graph, node, op)
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
        chain = pointwise.chain_before(graph, ref)
        up = graph[chain.source.node]
        scale = _scale(graph, up)
        if scale is None:
            parts.append(Part(ref, start, channels))
        else:
            work = tuple(each for each in chain.nodes if not isinstance(each.op, ir.Identity))
            parts.append(Part(up.inputs[0], start, channels, scale, work))
            grown += [up.id, *chain.ids]
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
    if not isinstance(node.op, ir.Upsample) or node.op.mode not in pointwise.NEAREST:
        return None
    if node.op.factors:
        return None
    before, after = graph.spec(node.inputs[0]).shape[2:], node.output.shape[2:]
    if any(b == 0 or a % b for b, a in zip(before, after, strict=True)):
        return None
    scale = tuple(a // b for b, a in zip(before, after, strict=True))
    return scale if 1 < max(scale) <= MOST_FACTOR else None


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
            first = _Several(first.source, first.start, channels, None, (), places)
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
