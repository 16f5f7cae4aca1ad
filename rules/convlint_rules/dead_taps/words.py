"""The words and the code for a convolution with dead taps."""

from __future__ import annotations

import math

import msgspec
from convlint_rules.dead_taps.borders import uneven
from convlint_rules.dead_taps.sites import Taps

from convlint.analysis import drafting, mixers
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node


def what(site: Taps) -> str:
    """Return "3x3 kernel (dilation 36) 64->32 on 28x28", and where a Pad brings the zeros."""
    op = site.op
    spread = f" (dilation {drafting.short(op.dilation)})" if max(op.dilation) > 1 else ""
    size = drafting.extent([axis.size for axis in site.axes])
    pad = " under a Pad" if site.border.pads else ""
    return f"{drafting.extent(op.kernel)} kernel{spread} {drafting.channels(op)} on {size}{pad}"


def waste(site: Taps) -> str:
    """Return how many of the taps or products read data, and that the rest reads zeros."""
    kept, taps = drafting.extent([len(taps) for taps in site.kept]), site.op.taps
    if not site.dead:
        return f"only {site.share:.0%} of its products read data, the rest padding zeros"
    wasted = 1 - math.prod(map(len, site.kept)) / taps
    return (
        f"only {kept} of {drafting.extent(site.op.kernel)} taps ever read data, {wasted:.0%} of its "
        "MACs and weights meet padding zeros"
    )


def beside(others: list[Taps]) -> str:
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


def smaller(node: Node, site: Taps) -> str:
    """Return the conv with half the dilation, and the padding that goes with it."""
    op = site.op
    dilation = tuple(max(1, d // 2) for d in op.dilation)
    half = zip(op.padding, op.kernel, op.dilation, dilation, strict=True)
    padding = tuple(
        (max(0, a - (d - new) * (k - 1) // 2), max(0, b - (d - new) * (k - 1) // 2))
        for (a, b), k, d, new in half
    )
    new = msgspec.structs.replace(op, dilation=dilation, padding=padding, padding_word="")
    return "\n".join(_layer(node, site, new))


def code(node: Node, site: Taps) -> str:
    """Return the new layer, the padding that it cannot do itself, and the mapping of weights."""
    lines = [*_layer(node, site, site.new), f"# old checkpoints, once: {_mapping(node, site)}"]
    return "\n".join(lines)


def _layer(node: Node, site: Taps, new: ir.Conv) -> list[str]:
    """Return the code of the layer, and what it reads where that is not what it read."""
    under = "the map before the Pad" if site.border.pads else ""
    if not uneven(new.padding):
        return [drafting.chain_code(node, new), *([f"# on {under}"] if under else [])]
    sides = tuple(side for pair in reversed(new.padding) for side in pair)
    plain = msgspec.structs.replace(new, padding=((0, 0),) * len(new.kernel))
    origin = f", x is {under}" if under else ""
    return [drafting.chain_code(node, plain), f"# on F.pad(x, {sides}){origin}"]


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
