"""The parameters and buffers of a traced model, each with the memory it lives in."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import fx, nn

from convlint.ir.nodes import Param
from convlint.tracing.tensors import spec_of, storage_key
from convlint.tracing.trace import Trace


@dataclass(slots=True)
class Parameters:
    """Describes tensors of the model, and remembers which memory some node used.

    ``storages`` gives the storage key of a tensor by its id, where the trace ran on twins.
    """

    trace: Trace
    storages: dict[int, str]
    used: set[str] = field(default_factory=set)

    def of_call(self, role: str, what: fx.Node | str, node: fx.Node) -> Param:
        """Return the param that a call uses: a ``get_attr`` node, or a name of its layer's own."""
        path = str(what.target) if isinstance(what, fx.Node) else f"{node.target}.{what}"
        param = self._describe(path, role, self.trace.tensor(path))
        self.used.add(param.storage)
        return param

    def unused(self) -> tuple[Param, ...]:
        """Return what the model declares and no call used, so far."""
        model = self.trace.model
        declared = (
            self._describe(name, "weight", tensor)
            for tensors in (model.named_parameters, model.named_buffers)
            for name, tensor in tensors()
        )
        return tuple(param for param in declared if param.storage not in self.used)

    def _describe(self, path: str, role: str, tensor: torch.Tensor) -> Param:
        key = self.storages.get(id(tensor)) or storage_key(tensor)
        spec = spec_of(tensor)
        buffer = not isinstance(tensor, nn.Parameter)
        return Param(path, key, spec.shape, spec.dtype, role, buffer)
