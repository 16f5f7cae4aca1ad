"""CL101 large-kernel: a dense 5x5 or larger convolution, where 3x3 taps cover the same field.

What it does
------------
Finds dense convolutions whose kernel is 5 or more on every axis that has more than one tap,
on at least two axes, with at least 8 input channels.

Why it costs
------------
Products and weights grow with the square of the kernel: 5x5 has 25 taps, 7x7 has 49. A 3x3
with dilation (k-1)/2 spans the same k x k with 9 taps; (k-1)/2 stacked 3x3 see every position
of it with 9 taps each.

Example
-------
    self.conv = nn.Conv2d(64, 192, 5, padding=2)

Use instead
-----------
    self.conv = nn.Conv2d(64, 192, 3, padding=2, dilation=2)

or, seeing every position, with the narrower width between:

    self.conv = nn.Sequential(
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 192, 3, padding=1)
    )

Savings
-------
Dilated: MACs and weights times 9/k^2 (-64, -82, -93 % for 5, 7, 11). Stacked, q=(k-1)/2 convs
of width m: 9*(Cin*m + (q-2)*m^2 + m*Cout) weights for q > 1, against k^2*Cin*Cout.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
3x3 with dilation 2 for dense 5x5 64->64 at 56x56: 0.45, 0.46, 0.39, 0.48; 2 stacked 3x3 for dense
5x5 64->64 at 56x56: 0.89, 0.84, 0.69, 0.79; 3x3 with dilation 3 for dense 7x7 64->64 at 56x56:
0.24, 0.25, 0.21, 0.32; 3 stacked 3x3 for dense 7x7 64->64 at 56x56: 0.69, 0.68, 0.53, 0.65.

When not to apply
-----------------
Not the same function: retrain. The dilated kernel reads 9 of the k^2 positions (a grid), and
no published like-for-like swap was found, so its accuracy is unknown; for the stack
Inception-v3 (3.1) names no loss and asks to keep a ReLU between. Silent on stems with few
channels (three 3x3 cost more than a 7x7 on RGB), depthwise and grouped kernels, patchify
(kernel <= stride), 1xk with kx1, already dilated or transposed ones, the prediction layer (also
one that a pixel shuffle brings to 4 channels or fewer, ESPCN), and kernels over half the map. An even kernel has no odd dilated twin: words only, no saving.

Already done by
---------------
Nobody: it is another function.

Options
-------
min-kernel = 5: least taps per axis.
min-channels = 8: least input channels.
mid = "min": width between stacked convs, min, in or out channels.
min-gain = 0.15: a stack is offered if it saves at least this share.

References
----------
Yu & Koltun, arXiv 1511.07122; Inception-v3, arXiv 1512.00567 (3.1); VGG, arXiv 1409.1556 (2.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convlint_rules.large_kernel.forms import Form, Kind, forms, too_far

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir


class LargeKernelOptions(contract.Options, frozen=True):
    """Options of CL101."""

    min_kernel: int = 5
    min_channels: int = 8
    mid: Literal["min", "in", "out"] = "min"
    min_gain: float = 0.15


@dataclass(frozen=True, slots=True)
class Large:
    """A convolution with many taps on every axis that has more than one."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv
    map: ir.Ints
    prediction: bool


def find(context: Context, options: LargeKernelOptions) -> Iterator[Large]:
    """Yield convs whose kernel is large on every axis that has more than one tap."""
    predictions = neighbours.prediction_convs(context.graph)
    for node, op in neighbours.convs(context.graph):
        wide = [taps for taps in op.kernel if taps > 1]
        if wide and min(wide) >= options.min_kernel:
            size = context.graph.input_specs(node)[0].shape[2:]
            yield Large(node.id, (node.id,), op, size, node.id in predictions)


def guard(context: Context, site: Large, options: LargeKernelOptions) -> Refusal | None:
    """Refuse kernels that are large for a reason, the first reason that holds."""
    op = site.op
    axes = [
        (k, s, size) for k, s, size in zip(op.kernel, op.stride, site.map, strict=True) if k > 1
    ]
    few = op.in_channels < options.min_channels
    reasons = {
        f"one axis only: kernel {drafting.extent(op.kernel)}": len(axes) < 2,
        f"groups={op.groups}: it is not dense": op.groups > 1,
        "it is transposed": op.transposed,
        "its kernel is computed, not a parameter": op.computed_weight,
        f"it is dilated already: {drafting.extent(op.dilation)}": max(op.dilation) > 1,
        f"{op.in_channels} input channels, under {options.min_channels}": few,
        f"it cuts patches: stride {drafting.extent(op.stride)}": all(k <= s for k, s, _ in axes),
        "it is the prediction layer": site.prediction,
        f"the kernel is over half of the {drafting.extent(site.map)} map": any(
            2 * k > size for k, _, size in axes
        ),
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if reason is None and not _forms(context, site, options):
        reason = f"{too_far(context.target, op)}, and no stack of 3x3 is cheaper"
    return Refusal(reason, site.nodes) if reason is not None else None


def rewrite(context: Context, site: Large, options: LargeKernelOptions) -> tuple[Rewrite, ...]:
    """Return the dilated 3x3 and, where it is cheaper by min_gain, the stack of 3x3."""
    node = context.graph[site.anchor]
    return tuple(form.rewrite(node) for form in _forms(context, site, options))


def _forms(context: Context, site: Large, options: LargeKernelOptions) -> tuple[Form, ...]:
    node = context.graph[site.anchor]
    return forms(context, node, site.op, options.mid, options.min_gain)


def advise(
    context: Context, sites: tuple[Large, ...], options: LargeKernelOptions
) -> contract.Advice:
    """Word the finding by its largest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    op, node = site.op, context.graph[site.anchor]
    found = _forms(context, site, options)
    told = [_words(form, op, first=form is found[0]) for form in found]
    unsaved = too_far(context.target, op)
    told += [unsaved] if unsaved else []
    message = (
        f"dense {drafting.extent(op.kernel)} {drafting.channels(op)} at "
        f"{drafting.extent(site.map)}{_among(context, sites)} (large from {options.min_kernel}): "
        f"{'; '.join(told)}"
    )
    instead = found[0].code(node)
    for form in found[1:]:
        instead += f"\n# or, {_READS[form.kind]}:\n{form.code(node)}"
    return contract.Advice(message, instead, RISK)


_READS = {Kind.STACKED: "reading every position", Kind.DILATED: "reading a grid of positions"}


def _words(form: Form, op: ir.Conv, first: bool) -> str:
    """Return what the message says of a form: what it covers, and the share it saves."""
    if form.kind is Kind.STACKED:
        what = "MACs" if first else ""
        return f"{form.label} cover it densely with {form.saved:.0%} fewer {what}".rstrip()
    if form.claimed:
        return f"{form.label} covers the same field with {form.saved:.0%} fewer MACs and weights"
    field = drafting.extent([taps - (taps % 2 == 0) for taps in op.kernel])
    return f"{form.label} covers {field}, the next odd field (no saving is claimed for it)"


def _among(context: Context, sites: tuple[Large, ...]) -> str:
    if len(sites) == 1:
        return ""
    convs = drafting.counted([context.graph[site.anchor] for site in sites], "conv")
    if convs.startswith("1 "):
        return f", {convs.removeprefix('1 conv ')}"
    return f", the largest of {convs.replace(' convs', '', 1)}"


RISK = (
    "not the same function, retrain: accuracy unknown for the dilated kernel, which reads a grid "
    "of positions; Inception-v3 (3.1) names no loss for stacked 3x3 with an activation between"
)

RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL101",
        name="large-kernel",
        summary="a dense 5x5 or larger kernel, where 3x3 taps cover the same field",
        severity=Severity.WARNING,
        exact=False,
        since="0.1.0",
        yields_to=("CL102",),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options=LargeKernelOptions,
)
