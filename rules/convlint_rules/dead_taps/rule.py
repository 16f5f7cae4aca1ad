"""CL102 dead-taps: taps of a kernel that never read anything but padding.

What it does
------------
Finds convolutions some of whose taps fall outside the map at every position: a dilation as large
as the map, a 3x3 on a 1x1 or 2x2 map. Told as well, without a claim: layers of whose products less
than a quarter meet data.

Why it costs
------------
Libraries multiply the zeros all the same, and the weights are stored. DeepLabv3's layer of rate 36
on a 28x28 map is a 1x1 convolution that costs nine times as much.

Example
-------
    self.conv = nn.Conv2d(2048, 256, 3, padding=36, dilation=36)   # on 28x28

Use instead
-----------
    self.conv = nn.Conv2d(2048, 256, 1)                            # the middle of the kernel

Savings
-------
MACs and weights times 1 - live taps / taps.

When not to apply
-----------------
The same function at this input size only: on a larger map the taps come to life. Declare the sizes
that the model serves as `inputs` in pyproject.toml; where the size was guessed nothing is claimed.
A larger input, a smaller dilation, or leaving the branch out may be the better cure. Silent on other
padding than zeros, and on transposed layers.

Already done by
---------------
Nobody of those looked at (ONNX Runtime, OpenVINO, TVM, XLA, Inductor, coremltools).

Options
-------
min-valid-share = 0.25: layers of whose products a smaller share meets data are told.

References
----------
Chen et al., Rethinking Atrous Convolution, arXiv 1706.05587 (section 3, Figure 4); Richter et al.,
arXiv 2106.12307.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import replace_node
from convlint.ir import nodes as ir


class DeadTapsOptions(contract.Options, frozen=True):
    """Options of CL102."""

    min_valid_share: float = 0.25


@dataclass(frozen=True, slots=True)
class Dead:
    """A convolution; ``live`` are (first, last) tap of each axis that ever reads data.

    ``valid`` is the share of its products that meet data, padding left out.
    """

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    size: ir.Ints
    live: tuple[tuple[int, int], ...]
    valid: float

    @property
    def crops(self) -> bool:
        """Whether some tap is dead."""
        full = tuple((0, k - 1) for k in self.op.kernel)
        return self.live != full

    @property
    def kernel(self) -> ir.Ints:
        """The kernel of the live taps."""
        return tuple(last - first + 1 for first, last in self.live)


def find(context: Context, options: DeadTapsOptions) -> Iterator[Dead]:
    """Yield convs with dead taps, and those whose products mostly meet padding."""
    for node, op in neighbours.convs(context.graph):
        if op.taps == 1 or op.transposed or not any(a or b for a, b in op.padding):
            continue
        size = context.graph.input_specs(node)[0].shape[2:]
        counts = [_valid(op, axis, size, node.output.shape[2:]) for axis in range(len(op.kernel))]
        live = tuple(_range(count) for count in counts)
        whole = math.prod(k * out for k, out in zip(op.kernel, node.output.shape[2:], strict=True))
        valid = math.prod(sum(count) for count in counts) / max(1, whole)
        site = Dead(node.id, (node.id,), op, size, live, valid)
        if site.crops or valid < options.min_valid_share:
            yield site


def _valid(op: ir.Conv, axis: int, size: ir.Ints, out: ir.Ints) -> list[int]:
    """Return for each tap of one axis at how many outputs it reads data."""
    stride, step, before = op.stride[axis], op.dilation[axis], op.padding[axis][0]
    counts = []
    for tap in range(op.kernel[axis]):
        offset = tap * step - before
        first = max(0, -(offset // stride) if offset < 0 else 0)
        last = min(out[axis] - 1, (size[axis] - 1 - offset) // stride)
        counts.append(max(0, last - first + 1))
    return counts


def _range(counts: list[int]) -> tuple[int, int]:
    """Return the first and the last live tap; the first one where all are dead."""
    live = [tap for tap, count in enumerate(counts) if count]
    return (live[0], live[-1]) if live else (0, 0)


def guard(context: Context, site: Dead, _options: DeadTapsOptions) -> Refusal | None:
    """Refuse padding that is data, and kernels that are computed."""
    if site.op.padding_mode != "zeros":
        return Refusal(f"its padding is {site.op.padding_mode}: it is data", site.nodes)
    if site.op.computed_weight:
        return Refusal("its kernel is computed, not a parameter", site.nodes)
    if site.crops and context.saves(rewrite(context, site, _options)[0].edit).macs <= 0:
        return Refusal("it would save no MACs", site.nodes)
    return None


def rewrite(context: Context, site: Dead, _options: DeadTapsOptions) -> tuple[Rewrite, ...]:
    """Return the conv of the live taps; for one that mostly meets padding its middle, unclaimed."""
    node = context.graph[site.anchor]
    live = site.live if site.crops else tuple((k // 2, k // 2) for k in site.op.kernel)
    op = cropped(site.op, live, site.size, node.output.shape[2:])
    suffix = "live" + "_".join(f"{first}to{last}" for first, last in live)
    source = node.inputs[0]
    shape = context.graph.spec(source).shape
    new = drafting.draft_conv(node, suffix, op, source, shape)
    label = f"the live {drafting.extent(op.kernel)}"
    return (Rewrite(label, replace_node(node, (new,)), claimed=site.crops),)


def cropped(op: ir.Conv, live: tuple[tuple[int, int], ...], size: ir.Ints, out: ir.Ints) -> ir.Conv:
    """Return the conv with only these taps, padded so that every tap stays where it was."""
    kernel, padding, dilation = [], [], []
    for axis, (first, last) in enumerate(live):
        taps = last - first + 1
        step = op.dilation[axis] if taps > 1 else 1
        before = op.padding[axis][0] - first * op.dilation[axis]
        reach = (out[axis] - 1) * op.stride[axis] + (taps - 1) * step + 1
        kernel.append(taps)
        dilation.append(step)
        padding.append((before, reach - size[axis] - before))
    return msgspec.structs.replace(
        op,
        kernel=tuple(kernel),
        padding=tuple(padding),
        dilation=tuple(dilation),
        padding_word="",
    )


def advise(context: Context, sites: tuple[Dead, ...], options: DeadTapsOptions) -> contract.Advice:
    """Word the finding by the conv with the most dead work."""
    dead = [site for site in sites if site.crops]
    site = max(dead or sites, key=lambda site: context.cost.macs_of(site.anchor))
    op, node = site.op, context.graph[site.anchor]
    shapes = " and ".join(drafting.extent(n.output.shape) for n in context.graph.model_inputs)
    guess = ", an assumption" if context.inferred else ""
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)})"
    spread = f" with dilation {drafting.short(op.dilation)}" if max(op.dilation) > 1 else ""
    layer = f"{drafting.extent(op.kernel)}{spread} on {drafting.extent(site.size)}{among}"
    if site.crops:
        share = 1 - math.prod(site.kernel) / op.taps
        what = (
            f"only {drafting.extent(site.kernel)} taps of {layer} ever read data at input {shapes}"
            f"{guess}: {share:.0%} of its MACs and weights multiply padding"
        )
        code = cropped(op, site.live, site.size, node.output.shape[2:])
        instead = drafting.chain_code(node, code)
    else:
        what = (
            f"{layer}: {site.valid:.0%} of its products meet data at input {shapes}{guess}, the rest "
            f"padding (told under {options.min_valid_share:.0%})"
        )
        instead = f"# a smaller dilation, or a larger map than {drafting.extent(site.size)}\n"
        instead += drafting.chain_code(node, op)
    return contract.Advice(
        message=what,
        instead=instead,
        risk="same function at this input size only; old checkpoints need the kernel cut"
        if dead
        else "another function where the dilation changes: retrain",
        severity=None if dead else Severity.INFO,
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL102",
        name="dead-taps",
        summary="taps of a kernel that never read anything but padding",
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
