"""torch layers for the convolutions, linear layers and norms that an edit puts in."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from convlint.errors import ApplyError
from convlint.ir import nodes as ir

_CONVS: dict[tuple[bool, int], Any] = {
    (False, 1): nn.Conv1d,
    (False, 2): nn.Conv2d,
    (False, 3): nn.Conv3d,
    (True, 1): nn.ConvTranspose1d,
    (True, 2): nn.ConvTranspose2d,
    (True, 3): nn.ConvTranspose3d,
}
_NORMS: dict[tuple[str, int], Any] = {
    ("batch", 2): nn.BatchNorm1d,
    ("batch", 3): nn.BatchNorm1d,
    ("batch", 4): nn.BatchNorm2d,
    ("batch", 5): nn.BatchNorm3d,
    ("instance", 3): nn.InstanceNorm1d,
    ("instance", 4): nn.InstanceNorm2d,
    ("instance", 5): nn.InstanceNorm3d,
}


def new_layer(node: ir.Node, tensors: dict[str, torch.Tensor]) -> nn.Module:
    """Return the layer of ``node.op`` with these tensors by role; what is missing is untrained.

    Raises ApplyError for an operation that is no layer.
    """
    op = node.op
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if isinstance(op, ir.Conv):
            made = _conv(op)
        elif isinstance(op, ir.Linear):
            made = nn.Linear(op.in_features, op.out_features, bias=op.bias)
        elif isinstance(op, ir.Norm):
            made = _norm(node, op, "bias" in tensors)
        else:
            raise ApplyError(f"a new {node.kind} cannot be built")
    return _fill(made, tensors, node).eval()


def _norm(node: ir.Node, op: ir.Norm, bias: bool) -> nn.Module:
    shape = node.output.shape
    if op.type in ("layer", "rms"):
        sizes = tuple(shape[axis] for axis in op.axes)
        if op.type == "rms":
            return nn.RMSNorm(sizes, op.eps, op.affine)
        return nn.LayerNorm(sizes, op.eps, op.affine, bias=bias)
    kind = _NORMS.get((op.type, len(shape)))
    if kind is None:
        raise ApplyError(f"a new {op.type} norm cannot be built")
    made: nn.Module = kind(shape[1], eps=op.eps, affine=op.affine)
    return made


def asymmetric(op: ir.Conv) -> bool:
    """Tell whether a conv pads its two sides differently, which torch's layers cannot."""
    return any(before != after for before, after in op.padding)


def _conv(op: ir.Conv) -> nn.Module:
    extra = {"output_padding": op.output_padding or 0} if op.transposed else {}
    even = [before for before, _ in op.padding] if not asymmetric(op) else [0] * len(op.kernel)
    if any(amount < 0 for amount in even):
        even = [0] * len(op.kernel)
    made: nn.Module = _CONVS[op.transposed, len(op.kernel)](
        op.in_channels,
        op.out_channels,
        op.kernel,
        stride=op.stride,
        padding=tuple(even),
        dilation=op.dilation,
        groups=op.groups,
        bias=op.bias,
        padding_mode=op.padding_mode,
        **extra,
    )
    return made


def _fill(layer: nn.Module, tensors: dict[str, torch.Tensor], node: ir.Node) -> nn.Module:
    for role, tensor in tensors.items():
        table = layer._buffers if role in layer._buffers else layer._parameters
        old = table.get(role)
        if role not in table or (old is not None and old.shape != tensor.shape):
            raise ApplyError(f"the {role} of {node.id} does not fit: {tuple(tensor.shape)}")
        if role in layer._parameters and not isinstance(tensor, nn.Parameter):
            tensor = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
        table[role] = tensor
    return layer
