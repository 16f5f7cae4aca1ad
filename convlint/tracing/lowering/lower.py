"""Walks a trace and emits the nodes of the ModelGraph, in the order they ran."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref, SourceSpan, TensorSpec
from convlint.ir.validate import conv_output_shape
from convlint.tracing import leaves, sources
from convlint.tracing.lowering import (
    aten,
    convs,
    functions,
    layers,
    moves,
    naming,
    products,
    stored,
    unread,
    writes,
)
from convlint.tracing.lowering.call import Call, Handler, Lowered, record_of
from convlint.tracing.lowering.parameters import Parameters
from convlint.tracing.tracer import Trace

_FUNCTIONS: dict[str, Handler] = {
    **functions.FUNCTIONS,
    **layers.FUNCTIONS,
    **moves.FUNCTIONS,
    **products.FUNCTIONS,
    **convs.FUNCTIONS,
    **aten.FUNCTIONS,
}
_LAYERS: dict[type[nn.Module], Handler] = {
    **layers.LAYERS,
    **moves.LAYERS,
    **products.LAYERS,
    **convs.LAYERS,
}


def lower(trace: Trace, storages: dict[int, str]) -> ModelGraph:
    """Return the ModelGraph of ``trace``.

    ``storages`` gives the storage key of a tensor by its id, where the trace ran on twins.
    """
    return lower_bound(trace, storages).graph


@dataclass(frozen=True, slots=True)
class Bound:
    """A ModelGraph that still knows the calls it was made from.

    A node's id is the name of its fx node, if it has one. ``reads`` says for each id which value
    each tensor argument of that call had; ``parts`` which fx node takes a result out of a call
    that returned several.
    """

    graph: ModelGraph
    trace: Trace
    reads: dict[str, dict[fx.Node, Ref]]
    parts: dict[Ref, fx.Node]


def lower_bound(trace: Trace, storages: dict[int, str]) -> Bound:
    """Return the ModelGraph of ``trace`` with what ties it to the trace."""
    lowering = _Lowering(trace, Parameters(trace, storages))
    graph = lowering.run()
    return Bound(graph, trace, lowering.reads, lowering.part_nodes)


@dataclass(slots=True)
class _Lowering:
    trace: Trace
    parameters: Parameters
    nodes: list[Node] = field(default_factory=list)
    refs: dict[fx.Node, Ref] = field(default_factory=dict)
    parts: dict[fx.Node, tuple[str, int]] = field(default_factory=dict)
    memory: writes.Memory = field(init=False)
    folded: set[str] = field(default_factory=set)
    reads: dict[str, dict[fx.Node, Ref]] = field(default_factory=dict)
    part_nodes: dict[Ref, fx.Node] = field(default_factory=dict)

    def run(self) -> ModelGraph:
        self.memory = writes.Memory(self.trace.graph)
        for node in self.trace.graph.nodes:
            if node.op == "placeholder":
                self._emit(node, Lowered(ir.Input(str(node.target)), ()), None)
            elif node.op == "output":
                self._output(node)
            elif node.op in ("call_module", "call_function", "call_method"):
                self._call(node)
        graph = ModelGraph(self._without_folded(), self.parameters.unused())
        return graph if self.trace.kept is None else unread.settled(graph, self.trace)

    def _without_folded(self) -> tuple[Node, ...]:
        """Return the nodes without those that only computed a folded weight."""
        read: set[str] = set()
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if node.id in self.folded and node.id not in read:
                continue
            kept.append(node)
            read |= {ref.node for ref in node.inputs}
        return tuple(reversed(kept))

    def _output(self, node: fx.Node) -> None:
        inputs = tuple(dict.fromkeys(self._ref(source) for source in node.all_input_nodes))
        op = ir.Output()
        if self.trace.kept is not None:
            op = unread.output(node.args[0], self.trace.kept, inputs, self._ref)
        self.nodes.append(Node(node.name, op, inputs))
        self._bind(node)

    # -- one call -------------------------------------------------------------------

    def _call(self, node: fx.Node) -> None:
        if node.op == "call_function" and node.target is operator.getitem and self._part(node):
            return
        layer = self.trace.module(str(node.target)) if node.op == "call_module" else None
        call = Call(
            naming.name_of(node), naming.args_of(node), dict(node.kwargs), record_of(node), layer
        )
        if call.name == "setitem":
            self._setitem(node, call)
            return
        lowered = self._handle(node, call)
        for weight in lowered.folded:
            self.folded |= stored.chain_of(weight)
        self._emit(node, lowered, layer)
        if naming.is_in_place(node, layer) and call.tensors:
            self._written(call.tensors[0], node)

    def _handle(self, node: fx.Node, call: Call) -> Lowered:
        if not call.tensors:
            values = call.record.values
            return Lowered(ir.Constant("factory", call.name, values), ())
        handler = _LAYERS.get(type(call.layer)) if call.layer else _FUNCTIONS.get(call.name)
        try:
            lowered = handler(call) if handler else None
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, StopIteration):
            lowered = None
        if lowered is not None and self._fits(lowered, call):
            return lowered
        if call.record.macs:
            return products.measured(call)
        return self._opaque(node, call)

    def _opaque(self, node: fx.Node, call: Call) -> Lowered:
        target = type(call.layer).__name__ if call.layer else call.name
        own = call.layer is not None and not dict(call.layer.named_parameters())
        holds = not own and functions.may_hold_macs(node.target, call.name)
        roles = tuple((n, n) for n, _ in call.layer.named_parameters()) if call.layer else ()
        return Lowered(ir.Opaque(target, holds), tuple(call.tensors), roles)

    def _fits(self, lowered: Lowered, call: Call) -> bool:
        """Return whether the shapes that ran are those that the operation computes."""
        op, out = lowered.op, call.output.shape
        if isinstance(op, ir.Conv):
            source = call.shape
            if len(source) == len(op.kernel) + 1:
                source, out = (1, *source), (1, *out)
            return conv_output_shape(op, source) == out
        if isinstance(op, ir.Linear):
            return bool(out) and out[-1] == op.out_features
        if isinstance(op, ir.Reshape):
            return call.output.elements == record_of(call.source).outputs[0].elements
        return True

    def _setitem(self, node: fx.Node, call: Call) -> None:
        target, spec = call.args[0], record_of(call.args[0]).outputs[0]
        value = call.args[2] if isinstance(call.args[2], fx.Node) else None
        region = writes.assigned_region(call)
        if region is not None and value is not None:
            size = region.stop - region.start
            wanted = (*spec.shape[: region.axis], size, *spec.shape[region.axis + 1 :])
            if record_of(value).outputs[0].shape == wanted:
                self.refs[node] = self._replaced(node, target, region, self._ref(value))
                self._written(target, node)
                return
        inputs = tuple(dict.fromkeys(self._ref(n) for n in call.tensors))
        self._bind(node)
        self.nodes.append(self._node(node, ir.Opaque("setitem", False), inputs, (spec,), (), None))
        self.refs[node] = Ref(node.name)
        self._written(target, node)

    def _written(self, target: fx.Node, by: fx.Node) -> None:
        """Let ``target``, and what shares its memory, have the value that ``by`` made."""
        self._ref(target)
        self.refs[target] = self.refs[by]
        view = writes.view_of(target)
        if view is not None:
            self.memory.written(target, writes.Write(view, self.refs[by], by))

    def _replaced(self, by: fx.Node, target: fx.Node, region: writes.Region, value: Ref) -> Ref:
        """Return ``target`` with a region replaced: what stays before and after it, joined."""
        old, spec = self._ref(target), record_of(target).outputs[0]
        joined: list[Ref] = []
        name = f"{by.name}__w{len(self.nodes)}"
        for part, place in zip(writes.rest_of(region, spec.shape[region.axis]), "ab", strict=True):
            if part is not None:
                length = part.stop - part.start
                shape = (*spec.shape[: part.axis], length, *spec.shape[part.axis + 1 :])
                kept = TensorSpec(shape, spec.dtype)
                joined.append(self._made(by, name + place, ir.Slice((part,)), (old,), kept))
            if place == "a":
                joined.append(value)
        return self._made(by, name, ir.Concat(region.axis), tuple(joined), spec)

    def _refresh(self, node: fx.Node) -> None:
        """Bring the value of ``node`` up to what was written to its memory."""
        for write in self.memory.pending(node):
            view, spec = writes.view_of(node), record_of(node).outputs[0]
            assert view is not None
            name = f"{node.name}__w{len(self.nodes)}"
            inner, outer = writes.region_of(view, write.view), writes.region_of(write.view, view)
            if view == write.view:
                self.refs[node] = write.value
            elif inner is not None:
                self.refs[node] = self._replaced(write.by, node, inner, write.value)
            elif outer is not None:
                cut = ir.Slice((ir.SliceAxis(outer.axis, outer.start, outer.stop),))
                self.refs[node] = self._made(write.by, name, cut, (write.value,), spec)
            else:
                inputs = (self.refs[node], write.value)
                op = ir.Opaque("written", may_hold_macs=False)
                self.refs[node] = self._made(write.by, name, op, inputs, spec)

    def _made(
        self, by: fx.Node, name: str, op: Any, inputs: tuple[Ref, ...], spec: TensorSpec
    ) -> Ref:
        record = record_of(by)
        self.nodes.append(
            Node(name, op, inputs, (spec,), module=record.module, called_at=record.called_at)
        )
        return Ref(name)

    def _part(self, node: fx.Node) -> bool:
        """Resolve ``result[i]`` of a call with several results to an output of that node."""
        source = node.args[0]
        if not isinstance(source, fx.Node) or source not in self.parts:
            return False
        base, offset = self.parts[source]
        place = offset + self._place(source, node.args[1])
        self.refs[node] = Ref(base, place)
        if record_of(node).parts:
            self.parts[node] = (base, place)
        else:
            self.part_nodes[Ref(base, place)] = node
        return True

    def _place(self, source: fx.Node, key: Any) -> int:
        before = 0
        for user in source.users:
            if user.target is operator.getitem and user.args[0] is source:
                if user.args[1] == key:
                    return before
                before += len(record_of(user).outputs)
        return before

    # -- emitting -------------------------------------------------------------------

    def _emit(self, node: fx.Node, lowered: Lowered, layer: nn.Module | None) -> None:
        inputs = tuple(self._ref(source) for source in lowered.inputs)
        self._bind(node)
        params = tuple(self.parameters.of_call(role, what, node) for role, what in lowered.params)
        outputs = record_of(node).outputs
        op = lowered.op
        if isinstance(op, ir.Conv) and len(outputs[0].shape) == len(op.kernel) + 1:
            self._unbatched(node, op, inputs, params, layer)
            return
        self.nodes.append(self._node(node, op, inputs, outputs, params, layer))
        self._results(node, node.name)

    def _bind(self, node: fx.Node) -> None:
        """Remember which values the arguments of a call have now."""
        known = {arg: self.refs[arg] for arg in node.all_input_nodes if arg in self.refs}
        self.reads[node.name] = known

    def _unbatched(
        self, node: fx.Node, op: ir.Conv, inputs: tuple[Ref, ...], params: Any, layer: Any
    ) -> None:
        """A conv on an input without batch axis: with one around it."""
        out = record_of(node).outputs[0]
        source = record_of(node.all_input_nodes[0]).outputs[0]
        wide = TensorSpec((1, *source.shape), source.dtype)
        before = self._node(node, ir.Reshape(), inputs[:1], (wide,), (), None, "_batched")
        conv = self._node(
            node,
            op,
            (Ref(before.id), *inputs[1:]),
            (TensorSpec((1, *out.shape), out.dtype),),
            params,
            layer,
            "_conv",
        )
        after = self._node(node, ir.Reshape(), (Ref(conv.id),), (out,), (), None)
        self.nodes += [before, conv, after]
        self._results(node, after.id)

    def _results(self, node: fx.Node, name: str) -> None:
        self.refs[node] = Ref(name)
        if record_of(node).parts:
            self.parts[node] = (name, 0)

    def _node(
        self,
        node: fx.Node,
        op: Any,
        inputs: tuple[Ref, ...],
        outputs: tuple[TensorSpec, ...],
        params: tuple[Param, ...],
        layer: nn.Module | None,
        suffix: str = "",
    ) -> Node:
        record = record_of(node)
        module, built, own = self._owner(record.module, params, layer)
        return Node(
            id=node.name + suffix,
            op=op,
            inputs=inputs,
            outputs=outputs,
            module=module,
            params=params,
            built_at=built[0] if built else None,
            built_through=built[1:],
            called_at=record.called_at,
            inplace=naming.is_in_place(node, layer),
            layer=own,
            layer_class=naming.class_of(layer or self._module_or_none(record.module)),
            function="" if layer is not None else naming.function_of(node),
        )

    def _owner(
        self, module: str, params: tuple[Param, ...], layer: nn.Module | None
    ) -> tuple[str, tuple[SourceSpan, ...], bool]:
        """Return the module that a node belongs to, the lines that built it, whether a layer.

        The layer itself; for a functional call on a layer's own weight, that layer; else the
        module whose forward made the call, or the weight that it uses, without a constructor line.
        """
        if layer is not None:
            return module, sources.built_lines(layer), True
        weight = next((p for p in params if p.role == "weight" and not p.buffer), None)
        for path in (module, weight.name.rpartition(".")[0] if weight else None):
            if path is None:
                continue
            owner = self._module_or_none(path)
            if owner is not None and leaves.is_layer(owner) and weight is not None:
                return path, sources.built_lines(owner), True
        if weight is None:
            return module, (), False
        owner_path = weight.name.rpartition(".")[0]
        compiled = isinstance(self._module_or_none(owner_path), torch.jit.ScriptModule)
        return (owner_path if compiled else weight.name), (), False

    def _module_or_none(self, path: str) -> nn.Module | None:
        try:
            return self.trace.module(path)
        except AttributeError:
            return None

    def _ref(self, node: fx.Node) -> Ref:
        if node not in self.refs:
            record = record_of(node)
            param = self.parameters.of_call("weight", node, node)
            literal = str(node.target) in self.trace.constants
            origin = "literal" if literal else "buffer" if param.buffer else "parameter"
            op = ir.Constant(origin, str(node.target), record.values)  # type: ignore[arg-type]
            params = () if literal else (param,)
            made = Node(node.name, op, (), record.outputs, params=params)
            self.nodes.append(made)
            self.refs[node] = Ref(made.id)
        self._refresh(node)
        return self.refs[node]
