"""CL503 peak-activation: more activations alive at once than the device has memory for.

What it does
------------
With --ram (or `ram` in pyproject.toml), finds the operation at which the activations that are
needed at once take more than that, and names the tensors.

Why it costs
------------
A device with 256 KiB for activations does not run slower above that: it does not run. In most
convolutional nets one early block sets the peak, often many times what the rest needs.

Example
-------
    convlint model.py --ram 256KiB

Use instead
-----------
    self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1)   # an earlier stride, fewer early channels

or run the first block on parts of the image (patch-based inference, MCUNetV2).

Savings
-------
None promised: the message tells by how much the peak is over.

When not to apply
-----------------
Bytes are those of the traced dtype and batch: an int8 model takes a quarter of FP32. Scratch memory
of kernels is not known. Off without --ram. Of a model declared at several inputs, one is enough.

Already done by
---------------
Nobody: it is another function. Runtimes plan memory, and need at least this much.

Options
-------
None.

References
----------
Lin et al., MCUNetV2, arXiv 2110.15352.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node

_MOST_NAMED = 4
_UNITS = (("MiB", 2**20), ("KiB", 2**10))
_VIEWS = (ir.Reshape, ir.Permute, ir.Slice, ir.Split, ir.Expand, ir.Identity, ir.Output)


@dataclass(frozen=True, slots=True)
class Peak:
    """The layer whose run needs the most, and the nodes whose results are alive then."""

    anchor: str
    nodes: tuple[str, ...]
    alive: tuple[str, ...]


def find(context: Context, _options: contract.Options) -> Iterator[Peak]:
    """Yield the peak of the model, if the device's memory was given."""
    if not context.target.ram or not context.cost.peak_nodes:
        return
    order = context.graph.order
    alive = sorted(context.cost.peak_nodes, key=order.__getitem__)
    own = [key for key in alive if _own(context.graph[key])]
    last = own[-1]
    layers = [key for key in own if isinstance(context.graph[key].op, (ir.Conv, ir.Linear))]
    anchor = layers[-1] if layers else last
    yield Peak(anchor, tuple(dict.fromkeys((anchor, last))), tuple(own))


def _own(node: Node) -> bool:
    weight = isinstance(node.op, ir.Constant) and node.op.origin in ("parameter", "buffer")
    return not (node.inplace or weight or isinstance(node.op, _VIEWS))


def guard(context: Context, site: Peak, _options: contract.Options) -> Refusal | None:
    """Refuse a peak that fits."""
    peak, ram = context.cost.peak_activation_bytes, context.target.ram
    if peak <= ram:
        return Refusal(f"the peak of {size(peak)} fits into {size(ram)}", site.nodes)
    return None


def rewrite(_context: Context, _site: Peak, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return no rewrite: what gives way is a matter of design."""
    return ()


def advise(
    context: Context, sites: tuple[Peak, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by the tensors that are alive."""
    site = sites[0]
    peak, ram = context.cost.peak_activation_bytes, context.target.ram
    tensors = sorted(site.alive, key=lambda key: -context.graph[key].output.bytes)
    named = ", ".join(_tensor(context.graph[key]) for key in tensors[:_MOST_NAMED])
    more = f" and {len(tensors) - _MOST_NAMED} more" if len(tensors) > _MOST_NAMED else ""
    node = context.graph[site.anchor]
    return contract.Advice(
        message=f"activations need {size(peak)} at once and --ram allows {size(ram)} "
        f"({peak / ram:.1f}x): {named}{more}",
        instead=_instead(node),
        risk="another function, retrain; bytes are those of the traced dtype and batch",
    )


def _tensor(node: Node) -> str:
    name = node.module or node.kind
    return (
        f"{name} {drafting.extent(node.output.shape)} {node.output.dtype} {size(node.output.bytes)}"
    )


def _instead(node: Node) -> str:
    if isinstance(node.op, ir.Conv):
        return f"# an earlier stride or fewer channels before\n{drafting.conv_code(node.op)}"
    return "# an earlier stride or fewer channels before, in the nn.Conv2d that feeds it"


def size(value: int) -> str:
    """Return bytes as people read them, "256 KiB"."""
    for unit, scale in _UNITS:
        if value >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value} B"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL503",
        name="peak-activation",
        summary="more activations alive at once than the device has memory for",
        severity=Severity.WARNING,
        exact=False,
        since="0.2.0",
        gated=False,
        at_size=True,
        any_size=True,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
)
