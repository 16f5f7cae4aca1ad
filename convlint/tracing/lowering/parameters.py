"""The parameters and buffers of a traced model, each with the memory it lives in."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import torch
from torch import fx, nn

from convlint.analysis.paths import around
from convlint.ir.nodes import Idle, Param
from convlint.tracing import sources
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
        """Return what the model declares and no call used, so far, each with its idle module."""
        model = self.trace.model
        declared = [
            self._describe(name, "weight", tensor)
            for tensors in (model.named_parameters, model.named_buffers)
            for name, tensor in tensors()
        ]
        left = [param for param in declared if param.storage not in self.used]
        if not left:
            return ()
        busy, modules = self._busy(), dict(model.named_modules(remove_duplicate=False))
        return tuple(
            msgspec.structs.replace(param, idle=_idle(param.name, busy, modules)) for param in left
        )

    def _busy(self) -> frozenset[str]:
        """Return the paths of the modules with a parameter in them that a call used."""
        found: set[str] = set()
        for name, tensor in self.trace.model.named_parameters(remove_duplicate=False):
            if self._describe(name, "weight", tensor).storage in self.used:
                found.update(around(name.rpartition(".")[0]))
        return frozenset(found)

    def _describe(self, path: str, role: str, tensor: torch.Tensor) -> Param:
        key = self.storages.get(id(tensor)) or storage_key(tensor)
        spec = spec_of(tensor)
        buffer = not isinstance(tensor, nn.Parameter)
        return Param(path, key, spec.shape, spec.dtype, role, buffer)


def _idle(name: str, busy: frozenset[str], modules: dict[str, nn.Module]) -> Idle:
    """Return the largest module around a tensor that is not busy, its own where all are."""
    own = name.rpartition(".")[0]
    path = next((path for path in around(own) if path not in busy), "")
    return idle_module(path, modules[path or own])


def idle_module(path: str, module: nn.Module) -> Idle:
    """Return a module that nothing needs, with its class and the lines that build it."""
    lines = sources.built_lines(module)
    return Idle(path, type(module).__name__, lines[0] if lines else None, lines[1:])
