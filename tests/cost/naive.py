"""Convolutions counted the slow way, by visiting every place of the window, and their modules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convlint.cost import GraphCost, count
from convlint.ir.codec import open_document
from convlint.tracing.inline import read_instance


@dataclass(frozen=True)
class Case:
    """A convolution and an input for it."""

    axes: int
    cin: int
    cout: int
    options: dict[str, Any]
    transposed: bool
    shape: tuple[int, ...]

    def build(self) -> nn.Module:
        kind = f"Conv{'Transpose' if self.transposed else ''}{self.axes}d"
        return getattr(nn, kind)(self.cin, self.cout, **self.options)


@st.composite
def convs(draw: st.DrawFn) -> Case:
    """Draw 1-D to 3-D convolutions that fit their input, transposed or not."""
    axes = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 2, 3]))
    cin, cout = (groups * draw(st.integers(1, 4)) for _ in range(2))
    per_axis = st.tuples(*[st.integers(1, 3)] * axes)
    kernel, stride, dilation = (
        draw(st.tuples(*[st.integers(1, 4)] * axes)),
        draw(per_axis),
        draw(per_axis),
    )
    transposed = draw(st.booleans())
    options: dict[str, Any] = {
        "kernel_size": kernel, "stride": stride, "dilation": dilation, "groups": groups,
        "bias": draw(st.booleans()), "padding": draw(st.tuples(*[st.integers(0, 2)] * axes)),
    }  # fmt: skip
    if transposed:
        most = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
        options["output_padding"] = tuple(draw(st.integers(0, n)) for n in most)
    elif draw(st.booleans()):
        options |= {"padding": "same", "stride": 1}
    least = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    sizes = tuple(n + draw(st.integers(2, 6)) for n in least)
    return Case(axes, cin, cout, options, transposed, (draw(st.integers(1, 3)), cin, *sizes))


def loops(case: Case) -> int:
    """Return the MACs: a transposed conv spreads each input value, a conv gathers each output."""
    taps = math.prod(case.options["kernel_size"])
    places = 1
    for axis in range(case.axes):
        places *= case.shape[axis + 2] if case.transposed else _windows(case, axis)
    per_place = 0
    for _ in range(case.cout):
        per_place += taps * (case.cin // case.options["groups"])
    return case.shape[0] * places * per_place


def _windows(case: Case, axis: int) -> int:
    """Slide the window over one padded axis and return how often it fits."""
    kernel, dilation = case.options["kernel_size"][axis], case.options["dilation"][axis]
    span = dilation * (kernel - 1) + 1
    same = case.options["padding"] == "same"
    stride = 1 if same else case.options["stride"][axis]
    padded = case.shape[axis + 2] + (span - 1 if same else 2 * case.options["padding"][axis])
    found = start = 0
    while start + span <= padded:
        found, start = found + 1, start + stride
    return found


def torch_macs(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Return what torch's own counter says on meta tensors."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.to("meta")(torch.empty(shape, device="meta"))
    return counter.get_total_flops() // 2


def counted(model: nn.Module, *shape: int) -> GraphCost:
    """Return what convlint counts."""
    reply = read_instance(model.eval(), (torch.empty(shape, device="meta"),), {}, target="case")
    assert reply.graph is not None and reply.failure is None, reply.failure
    return count(open_document(reply.graph))
