"""Has rules compute the tensors of the parameters that their edits put in."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

import torch

from convlint.applying.values import Values
from convlint.checking.rewriting import Made, Step
from convlint.contract import Rule
from convlint.errors import ApplyError
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Param

Weights = Callable[..., Mapping[str, torch.Tensor]]


def compute(step: Step, values: Values) -> None:
    """Put the new tensors of a step into ``values``.

    Raises ApplyError where an exact rule leaves one out, or gives one of another shape.
    """
    for made in step.made:
        new = _new(step.before, made)
        if not new:
            continue
        found = _weights(step.rule.rule, step.before, made, values)
        for storage, param in new.items():
            tensor = found.get(storage)
            if tensor is None:
                if step.rule.rule.meta.exact:
                    raise ApplyError(f"no tensor for the new {param.name}")
                continue
            if tuple(tensor.shape) != param.shape:
                what = f"{param.name} should be {param.shape} and is {tuple(tensor.shape)}"
                raise ApplyError(what)
            values.add(storage, tensor.detach())


def _new(graph: ModelGraph, made: Made) -> dict[str, Param]:
    known = {param.storage for param in graph.params()}
    return {
        param.storage: param
        for node in made.edit.added
        for param in node.params
        if param.storage not in known
    }


def _weights(
    rule: Rule, graph: ModelGraph, made: Made, values: Values
) -> Mapping[str, torch.Tensor]:
    if not rule.weights:
        return {}
    module, _, name = rule.weights.partition(":")
    function: Weights = getattr(importlib.import_module(module), name)
    with torch.no_grad():
        return function(graph, made.site, made.edit, values)
