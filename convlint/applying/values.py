"""The tensors behind the parameters of a ModelGraph, old ones and those that rules compute."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from convlint.errors import ApplyError
from convlint.ir.nodes import Node, Param, Ref
from convlint.tracing.lowering import Bound
from convlint.tracing.tracer import CALL


class Values:
    """What a rule's ``weights`` function may ask; the tensors are copies, without gradients."""

    def __init__(self, bound: Bound, originals: dict[str, fx.Node]) -> None:
        self._bound = bound
        self._originals = originals
        self._new: dict[str, torch.Tensor] = {}

    def param(self, param: Param) -> torch.Tensor:
        """Return the tensor of a parameter or buffer, its shape as the Param says.

        Raises ApplyError where the model has none of that name.
        """
        if param.storage in self._new:
            return self._new[param.storage].clone()
        try:
            return self._bound.trace.tensor(param.name).detach().clone()
        except AttributeError as error:
            raise ApplyError(f"the model has no tensor {param.name}") from error

    def of(self, node: Node, role: str) -> torch.Tensor | None:
        """Return the tensor that ``node`` uses in a role ("weight", "bias", "running_mean").

        None where it has none. A weight that the model computes from parameters (weight_norm)
        is computed.
        """
        if any(param.role == f"{role}_part" for param in node.params):
            return self._computed(node, role)
        found = next((param for param in node.params if param.role == role), None)
        return None if found is None else self.param(found)

    def constant(self, ref: Ref) -> torch.Tensor:
        """Return the value of an output that does not depend on the model's input.

        Raises ApplyError where it does.
        """
        call = self._bound.parts.get(ref) or self._originals.get(ref.node)
        if call is None:
            raise ApplyError(f"{ref.node} is no recorded call")
        return self._run(call, {})

    def add(self, storage: str, tensor: torch.Tensor) -> None:
        """Keep the tensor of a new parameter; raise ApplyError where it has another value already."""
        known = self._new.get(storage)
        if known is not None and not torch.equal(known, tensor):
            raise ApplyError(f"two rewrites need different weights for {storage}")
        self._new[storage] = tensor

    def has(self, storage: str) -> bool:
        """Tell whether a rule computed the tensor of this storage."""
        return storage in self._new

    def _computed(self, node: Node, role: str) -> torch.Tensor | None:
        call = self._originals.get(node.id)
        if call is None:
            raise ApplyError(f"the {role} of {node.module or node.id} is computed in forward")
        place = {"weight": 1, "bias": 2}[role]
        argument = call.args[place] if place < len(call.args) else call.kwargs.get(role)
        if not isinstance(argument, fx.Node):
            return None
        return self._run(argument, {})

    def _run(self, call: fx.Node, done: dict[fx.Node, Any]) -> Any:
        """Run the recorded calls that ``call`` needs."""
        for node in _needed(call):
            if node.op == "placeholder":
                raise ApplyError(f"{call.name} depends on the model's input")
            done[node] = self._result(node, done)
        return done[call]

    def _result(self, node: fx.Node, done: dict[fx.Node, Any]) -> Any:
        trace = self._bound.trace
        args = fx.map_arg(node.args, lambda arg: done[arg])
        kwargs = fx.map_arg(node.kwargs, lambda arg: done[arg])
        with torch.no_grad():
            if node.op == "get_attr":
                return trace.tensor(str(node.target)).detach().clone()
            if node.op == "call_module":
                return trace.module(str(node.target))(*args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            assert callable(node.target)
            return node.target(*args, **kwargs)


def _needed(call: fx.Node) -> list[fx.Node]:
    """Return the calls that ``call`` depends on and itself, in the order they ran."""
    seen: set[fx.Node] = set()
    waiting = [call]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += node.all_input_nodes
    return [node for node in call.graph.nodes if node in seen and CALL in node.meta]
