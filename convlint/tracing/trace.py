"""A recorded run: the fx graph, and what is known of its nodes beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from convlint.ir.nodes import SourceSpan, TensorSpec
from convlint.tracing.outputs import Kept

CALL = "convlint"


@dataclass(frozen=True, slots=True)
class View:
    """Where a tensor lies in memory; ``storage`` is equal for tensors that share it."""

    storage: Any
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: torch.Tensor) -> View:
        """Return the view of a tensor; one without memory of its own shares with none."""
        shape = tuple(tensor.shape)
        try:
            storage = tensor.untyped_storage()._cdata
            return cls(storage, tensor.storage_offset(), shape, tensor.stride(), tensor.dtype)
        except (NotImplementedError, RuntimeError):
            return cls(("id", id(tensor)), 0, shape, (), tensor.dtype)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What the recorder knows of one fx node beside its target and arguments.

    ``module`` is the path of the module whose forward ran it (the leaf itself for a
    call_module). ``macs`` is measured where no formula of the lowering applies.
    ``values`` are the elements of a small integer result that does not depend on the input.
    ``parts`` is true for a call that returned a container of tensors. ``view`` is where the
    result lies, of a call that returned one tensor.
    """

    outputs: tuple[TensorSpec, ...]
    module: str
    called_at: SourceSpan | None
    macs: int = 0
    values: tuple[int, ...] | None = None
    parts: bool = False
    view: View | None = None


@dataclass(slots=True)
class Trace:
    """A recorded run: the fx graph and what its ``get_attr`` and ``call_module`` nodes mean.

    ``constants`` are tensors that belong to no module, ``extra_modules`` modules that are not
    registered in the model; both under the names that the graph uses. ``stopped`` is the error
    that ended the run early, or None, and ``failed_call`` the torch call it came from. ``kept``
    are the outputs that are read, None where all are.
    """

    graph: fx.Graph
    model: nn.Module
    constants: dict[str, torch.Tensor] = field(default_factory=dict)
    extra_modules: dict[str, nn.Module] = field(default_factory=dict)
    stopped: BaseException | None = None
    failed_call: str = ""
    kept: Kept | None = None

    def module(self, path: str) -> nn.Module:
        """Return the module that a path of the graph names."""
        if path in self.extra_modules:
            return self.extra_modules[path]
        return self.model.get_submodule(path)

    def tensor(self, path: str) -> torch.Tensor:
        """Return the parameter, buffer or constant that a ``get_attr`` node names."""
        if path in self.constants:
            return self.constants[path]
        owner, _, name = path.rpartition(".")
        tensor = getattr(self.module(owner), name)
        assert isinstance(tensor, torch.Tensor)
        return tensor

    def graph_module(self) -> fx.GraphModule:
        """Return a GraphModule that runs the recorded graph on the model's own weights."""
        table: dict[str, Any] = {**self.constants, **self.extra_modules}
        for node in self.graph.nodes:
            if node.op == "get_attr" and node.target not in table:
                table[node.target] = self.tensor(node.target)
            elif node.op == "call_module" and node.target not in table:
                table[node.target] = self.module(node.target)
        return fx.GraphModule(table, self.graph)
