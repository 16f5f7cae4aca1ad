"""The kernels of the transposed convolutions: taps that meet copies of one value, summed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from convlint_rules.conv_after_nearest_upsample.parts import Grown, Part, layers

from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph

if TYPE_CHECKING:
    from convlint.applying import Values


def weights(
    graph: ModelGraph, site: Grown, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the kernel of each part, and the bias where it went."""
    node = graph[site.anchor]
    kernel = values.of(node, "weight")
    assert kernel is not None
    made = {new.id: new for new in edit.added}
    found = {}
    for part, _ in layers(site):
        for param in made[f"{node.id}~{part.suffix}"].params:
            if param.role == "bias":
                bias = values.of(node, "bias")
                assert bias is not None
                found[param.storage] = bias
            elif part.scale is None:
                found[param.storage] = _cut(kernel, site)
            else:
                found[param.storage] = summed(
                    _slice(kernel, part, site), part.scale, site.op.groups
                )
    return found


def _cut(kernel: torch.Tensor, site: Grown) -> torch.Tensor:
    """Return the kernel over the channels that were not upsampled."""
    kept = [part for part in site.parts if part.scale is None]
    return torch.cat([_slice(kernel, part, site) for part in kept], 1)


def _slice(kernel: torch.Tensor, part: Part, site: Grown) -> torch.Tensor:
    if len(site.parts) == 1:
        return kernel
    return kernel[:, part.start : part.start + part.channels]


def summed(kernel: torch.Tensor, scale: tuple[int, ...], groups: int) -> torch.Tensor:
    """Return the transposed kernel of shape (in, out / groups, k + r - 1, ...).

    Along each axis tap j sums the r taps of the reversed kernel that lie within j - r + 1 .. j.
    """
    for axis, factor in enumerate(scale, 2):
        kernel = _spread(kernel.flip(axis), axis, factor)
    return torch.cat([part.transpose(0, 1) for part in kernel.chunk(groups)])


def _spread(kernel: torch.Tensor, axis: int, factor: int) -> torch.Tensor:
    size = kernel.shape[axis]
    shape = list(kernel.shape)
    shape[axis] = size + factor - 1
    total = kernel.new_zeros(shape)
    for shift in range(factor):
        total.narrow(axis, shift, size).add_(kernel)
    return total
