"""CL405 conv-after-nearest-upsample: a convolution that reads every value several times over.

What it does
------------
Finds convolutions of stride 1 that read a map which nearest upsampling by a whole factor made, also
where it is one part of a concatenation. Norms and activations between work on the small map then.

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
on bilinear upsampling (its borders differ), factors that are no whole numbers or over 40 (indices
in float32 fall short from 41 on), strided and dilated kernels, padding that is not of zeros or
wider than the kernel, where the upsampled map or the layer is used elsewhere too, and where so few
channels of a concatenation were upsampled that the sum moves more bytes than min-macs-per-byte
allows for the MACs saved.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, OpenVINO, TVM, XLA, Inductor, coremltools).

Options
-------
min-macs-per-byte = 4.0: MACs saved for each byte that is moved more.

References
----------
Shi et al., arXiv 1609.05158, and Aitken et al., arXiv 1707.02937: sub-pixel convolution and
resize convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from convlint_rules.conv_after_nearest_upsample.parts import (
    Grown,
    Part,
    layers,
    places,
    transposed,
)

from convlint import contract
from convlint.analysis import drafting, mixers, pointwise
from convlint.analysis.rescaling import has_own_weight
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec


class ConvAfterNearestUpsampleOptions(contract.Options, frozen=True):
    """Options of CL405."""

    min_macs_per_byte: float = 4.0


def find(context: Context, _options: ConvAfterNearestUpsampleOptions) -> Iterator[Grown]:
    """Yield convs of several taps that read nearest upsampled channels, alone or joined."""
    yield from places(context.graph)


def guard(
    context: Context, site: Grown, options: ConvAfterNearestUpsampleOptions
) -> Refusal | None:
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
        "its kernel is computed, not a parameter": op.computed_weight
        or not has_own_weight(graph[site.anchor]),
        f"groups={op.groups} across a concatenation": op.groups > 1 and len(site.parts) > 1,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if reason is not None:
        return Refusal(reason, site.nodes)
    tapped = [key for key in site.nodes[:-1] if len(graph.users(graph[key])) > 1]
    if tapped:
        return Refusal("the upsampled map has other readers", tuple(tapped))
    other = _other_use(graph, site)
    if other is not None:
        return Refusal(f"{other.module or other.id} uses the weight elsewhere", (other.id,))
    why = pointwise.loss(context.saves(_edit(graph, site)), options.min_macs_per_byte)
    return None if why is None else Refusal(why, site.nodes)


def _other_use(graph: ModelGraph, site: Grown) -> Node | None:
    """Return a call with the conv's weight that would need other new weights, or the old one."""
    sharing = mixers.sharing(graph, graph[site.anchor])
    if len(sharing) == 1:
        return None
    alike = {each.anchor for each in places(graph) if _key(each) == _key(site)}
    return next((node for node in sharing if node.id not in alike), None)


def _key(site: Grown) -> object:
    return site.op, tuple((part.start, part.channels, part.scale) for part in site.parts)


def rewrite(
    context: Context, site: Grown, _options: ConvAfterNearestUpsampleOptions
) -> tuple[Rewrite, ...]:
    """Return a transposed convolution for each upsampled part, one convolution for the others."""
    return (Rewrite("transposed at the low resolution", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Grown) -> GraphEdit:
    node = graph[site.anchor]
    made: list[Node] = []
    terms: list[Ref] = []
    moved: dict[str, Node] = {}
    for part, op in layers(site):
        source, shape = part.source, graph.spec(part.source).shape
        for low in pointwise.move_chain(part.chain, "low", source, shape):
            source = Ref(moved.setdefault(low.id, low).id)
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
    added = (*moved.values(), *made)
    return GraphEdit(frozenset(site.nodes), added, {Ref(node.id): terms[0]})


def _joined(graph: ModelGraph, node: Node, kept: list[Part]) -> tuple[Node]:
    """Return the concatenation of the parts that were not upsampled."""
    shape = graph.spec(kept[0].source).shape
    channels = sum(part.channels for part in kept)
    spec = TensorSpec((shape[0], channels, *shape[2:]), node.output.dtype)
    refs = tuple(part.source for part in kept)
    return (Node(f"{node.id}~kept", ir.Concat(1), refs, (spec,), module=node.module),)


def advise(
    context: Context, sites: tuple[Grown, ...], _options: ConvAfterNearestUpsampleOptions
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
        instead=f"{code}\n{_mapping(site, node, part)}".rstrip(),
        risk="same function, borders included; old checkpoints need the summed kernel, which "
        "convlint apply makes; time it on your runtime: convlint measure",
    )


def _mapping(site: Grown, node: Node, part: Part) -> str:
    """Return code that sums the old kernel's taps for one part; empty for groups."""
    weight = mixers.weight_of(node)
    assert part.scale is not None
    computed = any("_part" in param.role for param in node.params)
    if site.op.groups > 1 or weight is None or computed:
        return ""
    axes, ones = len(part.scale), ", ".join(map(str, part.scale))
    flips = ", ".join(str(axis) for axis in range(2, 2 + axes))
    cut = "" if len(site.parts) == 1 else f"[:, {part.start}:{part.start + part.channels}]"
    padding = drafting.short([factor - 1 for factor in part.scale])
    return (
        f'w = old["{weight.name}"]{cut}  # once, after training\n'
        f"taps = w.flip({flips}).flatten(0, 1)[:, None]\n"
        f"taps = F.conv{axes}d(taps, torch.ones(1, 1, {ones}), padding={padding})[:, 0]\n"
        'new["up.weight"] = taps.unflatten(0, w.shape[:2]).transpose(0, 1)'
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
    options=ConvAfterNearestUpsampleOptions,
    weights="convlint_rules.conv_after_nearest_upsample.apply:weights",
)
