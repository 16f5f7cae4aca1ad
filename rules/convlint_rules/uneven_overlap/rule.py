"""CL105 uneven-transposed-overlap: a transposed convolution whose kernel is no multiple of its stride.

What it does
------------
Finds transposed convolutions with stride s > 1 and a kernel that s does not divide.

Why it costs
------------
Neighbouring outputs are then summed from different numbers of taps (3x3 with stride 2: from 1, 2
and 4), which shows as a checkerboard that the layers behind it spend work on. All taps are paid
for at every input position.

Example
-------
    self.up = nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)

Use instead
-----------
    self.up = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)

or a kernel as large as the stride, with the fewest MACs:

    self.up = nn.ConvTranspose2d(64, 32, 2, stride=2)

Savings
-------
None promised: MACs are input positions x kernel taps, so 3x3 to 2x2 costs 4/9 and 3x3 to 4x4
costs 16/9 of what it did.

When not to apply
-----------------
Not the same function: retrain. Silent on depthwise kernels (bilinear ones are made so on
purpose), on kernels held in buffers or computed, and where the kernel is smaller than the stride
(gaps by design).

Already done by
---------------
Nobody: it is another function.

Options
-------
None.

References
----------
Odena et al., Deconvolution and Checkerboard Artifacts, Distill 2016.
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
from convlint.ir import nodes as ir


@dataclass(frozen=True, slots=True)
class Uneven:
    """A transposed convolution whose taps overlap unevenly."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv


def find(context: Context, _options: contract.Options) -> Iterator[Uneven]:
    """Yield transposed convs with a kernel that the stride does not divide on some axis."""
    for node, op in neighbours.convs(context.graph):
        if op.transposed and any(s > 1 and k % s for k, s in _axes(op)):
            yield Uneven(node.id, (node.id,), op)


def _axes(op: ir.Conv) -> list[tuple[int, int]]:
    return list(zip(op.kernel, op.stride, strict=True))


def guard(context: Context, site: Uneven, _options: contract.Options) -> Refusal | None:
    """Refuse kernels that are made so on purpose."""
    weight = next((p for p in context.graph[site.anchor].params if p.role == "weight"), None)
    if site.op.depthwise:
        return Refusal("it is depthwise: an interpolation", site.nodes)
    if site.op.computed_weight or weight is None or weight.buffer:
        return Refusal("its kernel is not learned", site.nodes)
    if any(k < s for k, s in _axes(site.op)):
        what = (
            f"kernel {drafting.extent(site.op.kernel)} is smaller than the stride: gaps by design"
        )
        return Refusal(what, site.nodes)
    return None


def rewrite(_context: Context, _site: Uneven, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return no rewrite: which kernel serves is a matter of training."""
    return ()


def advise(
    context: Context, sites: tuple[Uneven, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest conv."""
    site = max(sites, key=lambda site: context.cost.macs_of(site.anchor))
    op = site.op
    least, most = _counts(op)
    node = context.graph[site.anchor]
    return contract.Advice(
        message=f"transposed {drafting.extent(op.kernel)} with stride {drafting.short(op.stride)} "
        f"sums {least} to {most} taps into an output, by its place: a checkerboard",
        instead=f"{drafting.chain_code(node, _resized(op))}\n# or a kernel as large as the stride",
        risk="not the same function, retrain; the even form has more taps, so more MACs",
    )


def _counts(op: ir.Conv) -> tuple[int, int]:
    """Return the fewest and the most taps that reach one output."""
    least = math.prod(k // s for k, s in _axes(op))
    return least, math.prod(-(-k // s) for k, s in _axes(op))


def _resized(op: ir.Conv) -> ir.Conv:
    """Return the conv with its kernel rounded up to the stride, the same output size."""
    kernel = tuple(-(-k // s) * s for k, s in _axes(op))
    padding, extra = [], []
    given = op.output_padding or (0,) * len(kernel)
    for axis, (k, s) in enumerate(_axes(op)):
        grown = op.dilation[axis] * (kernel[axis] - k) - given[axis]
        before = op.padding[axis][0] + max(0, -(-grown // 2))
        padding.append((before, before))
        left = sum(op.padding[axis]) + grown - 2 * before
        extra.append(-left if -left < s else 0)
    return msgspec.structs.replace(
        op, kernel=kernel, padding=tuple(padding), output_padding=tuple(extra)
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL105",
        name="uneven-transposed-overlap",
        summary="a transposed conv whose kernel is no multiple of its stride",
        severity=Severity.INFO,
        exact=False,
        since="0.2.0",
        gated=False,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
)
