"""Emits a rewritten ModelGraph as a ``torch.fx.GraphModule``.

A node that the edits left alone is its recorded call again; so is one that an edit only moved: it
has the id of the call before the "~", and the same operation. In-place calls become
their plain forms: a ModelGraph has values, not memory.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from convlint.applying import kinds, layers
from convlint.applying.values import Values
from convlint.errors import ApplyError
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref
from convlint.tracing.lowering import Bound
from convlint.tracing.lowering.call import record_of

_BY_SIZE = (ir.Reshape, ir.Expand)
_IN_PLACE = {
    "__iadd__": "add",
    "__isub__": "sub",
    "__imul__": "mul",
    "__itruediv__": "div",
}


@dataclass(slots=True)
class Program:
    """One emission: ``bound`` is the model as recorded, ``final`` the graph to emit."""

    bound: Bound
    final: ModelGraph
    redirect: Mapping[Ref, Ref]
    values: Values
    graph: fx.Graph = field(default_factory=fx.Graph)
    table: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, fx.Node] = field(default_factory=dict)
    done: dict[Ref, fx.Node] = field(default_factory=dict)
    taken: dict[Ref, fx.Node] = field(default_factory=dict)
    again: dict[fx.Node, fx.Node] = field(default_factory=dict)
    made: dict[tuple[Any, ...], str] = field(default_factory=dict)
    copies: dict[int, Any] = field(default_factory=dict)
    parameters: dict[str, torch.Tensor] = field(default_factory=dict)
    first: fx.Node | None = None

    def module(self) -> fx.GraphModule:
        """Return the GraphModule; raises ApplyError for what cannot be emitted."""
        self.calls = {node.name: node for node in self.bound.trace.graph.nodes}
        for node in self.final:
            self._emit(node)
        made = fx.GraphModule(self.table, self.graph, "Rewritten")
        for param in self.final.unused:
            _keep(made, param.name, self._tensor(param))
        made.graph.lint()
        return made.eval()

    # -- nodes ----------------------------------------------------------------------

    def _emit(self, node: Node) -> None:
        call = self.calls.get(node.id.partition("~")[0])
        if isinstance(node.op, ir.Input):
            self._input(node)
        elif isinstance(node.op, ir.Output):
            self._output(node)
        elif call is not None and self._is_again(node, call):
            self.done[Ref(node.id)] = self._call_again(node, call)
        else:
            self.done[Ref(node.id)] = self._new(node)

    def _input(self, node: Node) -> None:
        made = self.graph.placeholder(str(self.calls[node.id].target))
        self.first = self.first or made
        self.done[Ref(node.id)] = made

    def _output(self, node: Node) -> None:
        call, kept = self.calls[node.id], self.bound.trace.kept
        reads = self._reads(node, call)
        result = call.args[0] if kept is None else kept.of(call.args[0])
        self.graph.output(fx.map_arg(result, lambda arg: self._argument(arg, reads)))

    def _is_again(self, node: Node, call: fx.Node) -> bool:
        """Tell whether ``node`` is the recorded call, where it stood or on other inputs."""
        old = self.bound.graph.by_id.get(call.name)
        if old is None or old.op != node.op or len(old.inputs) != len(node.inputs):
            return False
        if [p.storage for p in old.params] != [p.storage for p in node.params]:
            return False
        if not set(old.inputs) <= set(self.bound.reads.get(call.name, {}).values()):
            return False
        if old.id == node.id:
            return True
        if isinstance(node.op, _BY_SIZE) or call.target is operator.setitem:
            return False
        sizes = (self.bound.graph.spec(old.inputs[0]).shape, self.final.spec(node.inputs[0]).shape)
        return not isinstance(node.op, ir.Upsample) or sizes[0][2:] == sizes[1][2:]

    def _reads(self, node: Node, call: fx.Node) -> dict[fx.Node, Ref]:
        """Return which value each tensor argument of ``call`` has for ``node``."""
        old = self.bound.graph[call.name]
        now = dict(zip(_read_by(old), _read_by(node), strict=True))
        reads = self.bound.reads.get(call.name, {})
        return {arg: now.get(ref, self._followed(ref)) for arg, ref in reads.items()}

    def _followed(self, ref: Ref) -> Ref:
        for _ in range(len(self.redirect) + 1):
            if ref not in self.redirect:
                break
            ref = self.redirect[ref]
        return ref

    # -- recorded calls ---------------------------------------------------------------

    def _call_again(self, node: Node, call: fx.Node) -> fx.Node:
        reads = self._reads(node, call)
        return self._copy(call, lambda arg: self._argument(arg, reads))

    def _argument(self, arg: fx.Node, reads: Mapping[fx.Node, Ref]) -> fx.Node:
        ref = reads.get(arg)
        found = None if ref is None else self._value(ref)
        return found if found is not None else self._needed(arg)

    def _value(self, ref: Ref) -> fx.Node | None:
        """Return what stands for an output; a part of a container is taken out of it."""
        if ref in self.taken:
            return self.taken[ref]
        if ref in self.done and not self._is_container(ref.node):
            return self.done[ref]
        part = self.bound.parts.get(ref)
        if part is None:
            if ref.node in self.final and len(self.final[ref.node].outputs) > 1:
                made = self.graph.call_function(
                    operator.getitem, (self.done[Ref(ref.node)], ref.output)
                )
                self.taken[ref] = made
                return made
            return None
        path = []
        while part.target is operator.getitem and part.name != ref.node:
            path.append(part.args[1])
            assert isinstance(part.args[0], fx.Node)
            part = part.args[0]
        made = self.done[Ref(ref.node)]
        for key in reversed(path):
            made = self.graph.call_function(operator.getitem, (made, key))
        return made

    def _is_container(self, node_id: str) -> bool:
        if Ref(node_id) in self.bound.parts:
            return True
        node = self.final.by_id.get(node_id)
        return node is not None and isinstance(node.op, ir.Split)

    def _needed(self, arg: fx.Node) -> fx.Node:
        """Emit a call that no node stands for: a weight, or what computes one.

        Such a call may look at a value of the model too: ``scale.expand_as(x)``.
        """
        if arg not in self.again:
            known = self.done.get(self._followed(Ref(arg.name)))
            self.again[arg] = known if known is not None else self._copy(arg, self._needed)
        return self.again[arg]

    def _is_done(self, arg: Any) -> bool:
        return isinstance(arg, fx.Node) and self._followed(Ref(arg.name)) in self.done

    def _copy(self, call: fx.Node, argument: Any) -> fx.Node:
        if (
            call.op == "call_method"
            and call.target == "type_as"
            and not self._is_done(call.args[1])
        ):
            dtype = getattr(torch, record_of(call).outputs[0].dtype)
            return self.graph.call_method("to", (argument(call.args[0]), dtype))
        args = fx.map_arg(call.args, argument)
        kwargs = self._on_device(fx.map_arg(call.kwargs, argument))
        if call.op == "placeholder":
            raise ApplyError(f"the input {call.name} is read where it was overwritten")
        if call.op == "get_attr":
            return self._attribute(str(call.target))
        if call.op == "call_module":
            target = self._layer_again(str(call.target))
            return self.graph.call_module(target, args, kwargs)
        return self._plain(call, args, kwargs)

    def _plain(self, call: fx.Node, args: Any, kwargs: dict[str, Any]) -> fx.Node:
        """Emit a function or method; one that writes in place as its plain form, or on a copy."""
        kwargs = {**kwargs, **({"inplace": False} if "inplace" in kwargs else {})}
        target: Any = call.target
        if target is operator.setitem:
            copied = self.graph.call_method("clone", args[:1])
            self.graph.call_function(operator.setitem, (copied, *args[1:]))
            return copied
        if call.op == "call_method":
            name = _IN_PLACE.get(target, target)
            if name.endswith("_") and not name.endswith("__"):
                if hasattr(torch.Tensor, name[:-1]):
                    name = name[:-1]
                else:
                    args = (self.graph.call_method("clone", args[:1]), *args[1:])
            return self.graph.call_method(name, args, kwargs)
        name = getattr(target, "__name__", "")
        if name.endswith("_") and not name.endswith("__") and not isinstance(target, type):
            args = (self.graph.call_method("clone", args[:1]), *args[1:])
        if name in ("iadd", "isub", "imul", "itruediv"):
            target = getattr(operator, name[1:])
        return self.graph.call_function(target, args, kwargs)

    def _on_device(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Let a device argument follow the model's input."""
        if kwargs.get("device") is None or self.first is None:
            return dict(kwargs)
        device = self.graph.call_function(getattr, (self.first, "device"))
        return {**kwargs, "device": device}

    def _attribute(self, path: str) -> fx.Node:
        if path not in self.table:
            self.table[path] = self._copied(self.bound.trace.tensor(path))
        return self.graph.create_node("get_attr", path)

    def _layer_again(self, path: str) -> str:
        if path not in self.table:
            module = self._copied(self.bound.trace.module(path)).eval()
            if getattr(module, "inplace", False):
                module.inplace = False
            self.table[path] = module
        return path

    def _copied(self, value: Any) -> Any:
        """Return a copy; what shared memory before shares it after."""
        return copy.deepcopy(value, self.copies)

    # -- new nodes ----------------------------------------------------------------------

    def _new(self, node: Node) -> fx.Node:
        inputs = [self._required(ref) for ref in node.inputs]
        if isinstance(node.op, (ir.Conv, ir.Linear)) or (
            isinstance(node.op, ir.Norm) and node.params
        ):
            return self._layer(node, inputs)
        if isinstance(node.op, ir.Constant):
            return self._constant(node)
        before = tuple(self.final.spec(ref).shape for ref in node.inputs)
        return kinds.emit(self.graph, node, inputs, before)

    def _required(self, ref: Ref) -> fx.Node:
        found = self._value(ref)
        if found is None:
            raise ApplyError(f"{ref.node} cannot be emitted")
        return found

    def _layer(self, node: Node, inputs: list[fx.Node]) -> fx.Node:
        source, op = inputs[0], node.op
        if isinstance(op, (ir.Conv, ir.Linear)) and op.computed_weight:
            raise ApplyError(f"{node.module or node.id} has a computed weight")
        pairs = op.padding if isinstance(op, ir.Conv) else ()
        odd = any(a != b or a < 0 for a, b in pairs)
        if odd:
            assert isinstance(op, ir.Conv)
            if op.transposed or op.padding_mode != "zeros":
                raise ApplyError(f"{node.id}: its padding cannot be emitted")
            source = kinds.pad(self.graph, source, ((0, 0), (0, 0), *pairs), "constant", 0.0)
        tensors = {
            param.role: self._tensor(param)
            for param in node.params
            if self.values.has(param.storage) or "~" not in param.storage
        }
        key = (type(op).__name__, op, *(param.storage for param in node.params))
        if key not in self.made:
            self.made[key] = self._free(node.module or node.id.partition("~")[0])
            self.table[self.made[key]] = layers.new_layer(node, tensors)
        return self.graph.call_module(self.made[key], (source,))

    def _constant(self, node: Node) -> fx.Node:
        (param,) = node.params
        if param.name not in self.table:
            self.table[param.name] = self._tensor(param)
        return self.graph.create_node("get_attr", param.name)

    def _tensor(self, param: Param) -> torch.Tensor:
        """Return the tensor of a parameter as the new model has it: one for each storage."""
        if param.storage not in self.parameters:
            if self.values.has(param.storage):
                made = self.values.param(param).to(getattr(torch, param.dtype))
                if not param.buffer:
                    made = nn.Parameter(made, requires_grad=made.is_floating_point())
            else:
                made = self._copied(self.bound.trace.tensor(param.name))
            self.parameters[param.storage] = made
        return self.parameters[param.storage]

    def _free(self, path: str) -> str:
        """Return a path for a new layer: its module's own where nothing else is there."""
        taken = set(self.table)
        inside = {name.rpartition(".")[0] for name in taken}
        recorded = {
            str(call.target)
            for call in self.calls.values()
            if call.op == "call_module" and call.name in self.final
        }
        name, again = path, 1
        while name in taken | recorded or any(
            p == name or p.startswith(f"{name}.") for p in inside
        ):
            again += 1
            name = f"{path}_{again}"
        return name


def _read_by(node: Node) -> tuple[Ref, ...]:
    """Return the inputs of a node; of the Output, those that somebody reads."""
    if not isinstance(node.op, ir.Output) or not node.op.unread:
        return node.inputs
    pairs = zip(node.inputs, node.op.unread, strict=True)
    return tuple(ref for ref, name in pairs if not name)


def _keep(module: nn.Module, name: str, tensor: torch.Tensor) -> None:
    """Register a tensor that no node reads under its name."""
    *path, last = name.split(".")
    for part in path:
        if not hasattr(module, part):
            module.add_module(part, nn.Module())
        module = getattr(module, part)
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(last, tensor)
    else:
        module.register_buffer(last, tensor)
