"""The weight for the channels that depend on the input, and the constant map of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from convlint_rules.constant_channel_concat.rule import ConstantPart, split_parts

from convlint.analysis import mixers
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Ref

if TYPE_CHECKING:
    from convlint.applying import Values

_MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}


def weights(
    graph: ModelGraph, site: ConstantPart, edit: GraphEdit, values: Values
) -> dict[str, torch.Tensor]:
    """Return the weight's columns of the moving parts, the bias, and the map."""
    node = graph[site.anchor]
    axis = 0 if isinstance(node.op, ir.Conv) and node.op.transposed else 1
    mixed = mixers.mixed_axis(graph, node)
    weight, bias = values.of(node, "weight"), values.of(node, "bias")
    assert weight is not None and mixed is not None
    sizes = [graph.spec(ref).shape[mixed] for ref in graph[site.concat].inputs]
    cuts = list(enumerate(weight.split(sizes, axis)))
    moving = torch.cat([cut for place, cut in cuts if place not in site.fixed], axis)
    fixed = torch.cat([cut for place, cut in cuts if place in site.fixed], axis)
    _, refs = split_parts(graph, site)
    parts = torch.cat([_value(graph, ref, values).to(weight) for ref in refs], mixed)
    constant = _run(node.op, parts, fixed)
    found = {}
    for param in (param for new in edit.added for param in new.params):
        if param.buffer and param.name.endswith("_map"):
            found[param.storage] = constant[: param.shape[0]].contiguous()
        else:
            found[param.storage] = moving if param.role == "weight" else bias
    return found


def _value(graph: ModelGraph, ref: Ref, values: Values) -> torch.Tensor:
    """Return a constant; casts to the type of the input are passed by."""
    node = graph[ref.node]
    if isinstance(node.op, ir.Identity):
        return _value(graph, node.inputs[0], values)
    if isinstance(node.op, ir.Concat):
        return torch.cat([_value(graph, part, values) for part in node.inputs], node.op.axis)
    return values.constant(ref)


def _run(op: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the layer's result without its bias."""
    if isinstance(op, ir.Linear):
        return F.linear(x, weight)
    axes = len(op.kernel)
    if op.transposed:
        padding = [before for before, _ in op.padding]
        function: Any = getattr(F, f"conv_transpose{axes}d")
        extra = op.output_padding or 0
        return function(x, weight, None, op.stride, padding, extra, 1, op.dilation)
    sides = [side for pair in reversed(op.padding) for side in pair]
    if any(sides):
        x = F.pad(x, sides, mode=_MODES[op.padding_mode])
    function = getattr(F, f"conv{axes}d")
    return function(x, weight, None, op.stride, 0, op.dilation)
