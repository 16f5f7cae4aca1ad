"""Records one run of a model into a ``torch.fx.Graph``.

The model runs once, on real Python objects: control flow, ``len``, ``int(x.shape[0])``,
asserts and isinstance checks all see tensors and just work. A TorchFunctionMode sees every
torch call; every call of a leaf module is one node too. A tensor's identity tells which
node made it. The graph can be run by a ``GraphModule``.
"""

from __future__ import annotations

import contextlib
import operator
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, MethodDescriptorType, WrapperDescriptorType
from typing import Any

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from convlint.ir.nodes import SourceSpan
from convlint.tracing import asserts, leaves, measure, quick, scripted
from convlint.tracing.outputs import choose, plain
from convlint.tracing.sources import Locator
from convlint.tracing.tensors import (
    KnownValues,
    integers,
    map_tensors,
    on_meta_device,
    only_moves,
    spec_of,
    tensors_in,
)
from convlint.tracing.trace import CALL as CALL
from convlint.tracing.trace import CallRecord as CallRecord
from convlint.tracing.trace import Trace as Trace
from convlint.tracing.trace import View

_HERE = str(Path(__file__).parent)


class Recorder:
    """Turns torch calls into fx nodes while a model runs."""

    def __init__(self, model: nn.Module, locator: Locator, known: KnownValues) -> None:
        self.trace = Trace(fx.Graph(), model)
        self.graph = self.trace.graph
        self.known = known
        self.depth = 0
        self._locator = locator
        self._nodes: dict[int, fx.Node] = {}
        self._views: dict[View, fx.Node] = {}
        self._keep: list[Any] = []
        self._twins: dict[int, torch.Tensor] = {}
        self._stack: list[str] = [""]
        self._paths = {id(m): p for p, m in model.named_modules(remove_duplicate=True)}
        self._owned = {
            id(t): name
            for tensors in (model.named_parameters, model.named_buffers)
            for name, t in tensors(remove_duplicate=True)
        }
        self._meta = False

    # -- values ---------------------------------------------------------------------

    def placeholder(self, name: str, tensor: torch.Tensor) -> None:
        """Make ``tensor`` an input of the graph."""
        node = self.graph.placeholder(name)
        self._meta = self._meta or tensor.device.type == "meta"
        self._bind(node, tensor)
        node.meta[CALL] = CallRecord((spec_of(tensor),), "", None, view=View.of(tensor))

    def finish(self, result: Any, outputs: Sequence[str]) -> None:
        """Close the graph with the model's result; raise ReadError for outputs it has not."""
        self.trace.kept = choose(result, outputs)
        self.graph.output(self.as_args(plain(result)))

    def as_args(self, value: Any) -> Any:
        """Return ``value`` with tensors replaced by their nodes."""
        if isinstance(value, torch.Size):
            return tuple(value)
        return map_tensors(value, self.node_of)

    def node_of(self, tensor: torch.Tensor) -> fx.Node:
        """Return the node that made ``tensor``; one that nothing made is a constant."""
        found = self._made_by(tensor)
        return self._get_attr(tensor) if found is None else found

    def _made_by(self, tensor: torch.Tensor) -> fx.Node | None:
        found = self._nodes.get(id(tensor))
        if found is None and id(tensor) not in self._owned:
            found = self._views.get(View.of(tensor))
        return found

    def _get_attr(self, tensor: torch.Tensor) -> fx.Node:
        name = self._owned.get(id(tensor))
        if name is None:
            name = f"_constant{len(self.trace.constants)}"
            self.trace.constants[name] = tensor
        node = self.graph.create_node("get_attr", name)
        values = integers(self.known.get(tensor))
        node.meta[CALL] = CallRecord(
            (spec_of(tensor),), "", None, values=values, view=View.of(tensor)
        )
        self._bind(node, tensor)
        return node

    def _bind(self, node: fx.Node, tensor: torch.Tensor) -> None:
        self._nodes[id(tensor)] = node
        self._keep.append(tensor)
        if id(tensor) not in self._owned:
            self._views[View.of(tensor)] = node

    def on_device(self, value: Any) -> Any:
        """Return ``value`` with tensors of other devices replaced by meta twins."""
        return map_tensors(value, self._twin) if self._meta else value

    def _twin(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device.type == "meta":
            return tensor
        made = self._twins.get(id(tensor))
        if made is None:
            made = torch.empty_strided(
                tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="meta"
            )
            self._twins[id(tensor)] = made
            self._keep.append(tensor)
            self.known.note(made, tensor)
            node = self._made_by(tensor)
            if node is not None:
                self._nodes[id(made)] = node
        return made

    # -- calls ----------------------------------------------------------------------

    def function(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Run one torch function and record it, if tensors come out of it."""
        if self.depth:
            return func(*args, **kwargs)
        if only_moves(func, args, kwargs) and self._meta:
            return args[0]
        if self._meta:
            args, kwargs = on_meta_device(func, args, kwargs)
        raw, (args, kwargs) = (args, kwargs), self.on_device((args, kwargs))
        if self._meta and isinstance(func, _DESCRIPTORS) and func.__name__ in _READS_CONTENT:
            real = self.known.get(args[0])
            if real is not None:
                return func(real, *args[1:], **kwargs)
        before = self.as_args((args, kwargs)) if _writes(func, kwargs) else None
        try:
            macs, result = self._run(func, args, kwargs, raw)
        except Exception:
            wanted = self._asserted(func)
            if wanted is not None:
                return wanted
            self._note_failure(func.__name__, args, kwargs)
            raise
        outputs = list(tensors_in(result))
        mutated = func is torch.Tensor.__setitem__
        if not outputs and not mutated:
            return result
        self._note_known(func, args, kwargs, result)
        node = self._create(func, *(before or self.as_args((args, kwargs))))
        self._record(node, result, self._stack[-1], macs)
        return result

    def _run(
        self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], raw: tuple[Any, Any]
    ) -> tuple[int, Any]:
        """Run the call on meta; where a function insists on content, with what is known."""
        try:
            result = quick.of_function(func, args, kwargs) if self._meta else None
            return measure.call(func, args, kwargs) if result is None else (0, result)
        except Exception as error:
            alike = (t.device.type == "meta" and self.known.get(t) is None for t in tensors_in(raw))
            if not self._meta:
                raise
            if not all(alike):
                with contextlib.suppress(Exception):
                    return measure.call(func, *map_tensors(raw, self._with_content))
            empty = measure.without_values(func, args, kwargs)
            if empty is None:
                raise error
            return 0, empty

    def _asserted(self, func: Callable[..., Any]) -> bool | None:
        """Return the answer an ``assert`` wants to a question about values that nobody knows."""
        if not self._meta or func.__name__ not in asserts.QUESTIONS:
            return None
        return asserts.asserted(_outside(sys._getframe(2)))

    def _with_content(self, tensor: torch.Tensor) -> torch.Tensor:
        known = self.known.get(tensor)
        return tensor if known is None else known

    def _note_failure(self, what: str, args: Any, kwargs: dict[str, Any]) -> None:
        if not self.trace.failed_call:
            shapes = ["x".join(map(str, t.shape)) for t in tensors_in((args, kwargs))]
            self.trace.failed_call = f"{what} on {', '.join(shapes)}"

    def _create(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> fx.Node:
        name = func.__name__
        if isinstance(func, torch._ops.OpOverload):
            return self.graph.call_function(func, args, kwargs)
        if name == "__get__":
            attribute = func.__self__.__name__  # type: ignore[attr-defined]
            return self.graph.call_function(getattr, (args[0], attribute))
        if name == "__getitem__":
            return self.graph.call_function(operator.getitem, args)
        if name == "__setitem__":
            return self.graph.call_function(operator.setitem, args)
        method = isinstance(func, _DESCRIPTORS) or getattr(torch.Tensor, name, None) is func
        wrapped = getattr(func, "__module__", "") == "torch._tensor" and hasattr(torch.Tensor, name)
        if method or wrapped:
            return self.graph.call_method(name, args, kwargs)
        return self.graph.call_function(func, args, kwargs)

    def _note_known(self, func: Any, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        if not self._meta:
            return
        if isinstance(result, torch.Tensor) and result.numel() > 1 << 16:
            return
        real = self.known.compute(func, args, kwargs)
        if real is None:
            if _writes(func, kwargs) and args and isinstance(args[0], torch.Tensor):
                self.known.forget(args[0])
            return
        for made, value in zip(tensors_in(result), tensors_in(real), strict=False):
            self.known.note(made, value)

    def module(self, module: nn.Module, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run one module's ``__call__``; a leaf is recorded as one node."""
        if self.depth:
            return run(module, *args, **kwargs)
        path = self._path_of(module)
        if not leaves.is_leaf(module) or not list(tensors_in((args, kwargs))):
            self._stack.append(path)
            try:
                with scripted.seen(module, self.function):
                    return run(module, *args, **kwargs)
            finally:
                self._stack.pop()
        with _unseen():
            args, kwargs = self.on_device(args), self.on_device(kwargs)
            before = self.as_args((args, kwargs))
            result = quick.of_layer(module, args, kwargs) if self._meta else None
        if result is None:
            result = self._run_leaf(module, path, run, args, kwargs)
        node = self.graph.create_node("call_module", path, *before)
        with _unseen():
            self._record(node, result, path, 0)
        return result

    def _run_leaf(
        self, module: nn.Module, path: str, run: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        self.depth += 1
        try:
            return run(module, *args, **kwargs)
        except Exception:
            self._note_failure(f"{path} = {module}" if path else str(module), args, kwargs)
            raise
        finally:
            self.depth -= 1

    def _path_of(self, module: nn.Module) -> str:
        path = self._paths.get(id(module))
        if path is None:
            path = f"_module{len(self.trace.extra_modules)}"
            self.trace.extra_modules[path] = module
            self._keep.append(module)
            for name, child in module.named_modules():
                self._paths.setdefault(id(child), f"{path}.{name}" if name else path)
                if name:
                    self.trace.extra_modules.setdefault(f"{path}.{name}", child)
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                self._owned.setdefault(id(tensor), f"{path}.{name}")
        return path

    def _record(self, node: fx.Node, result: Any, module: str, macs: int) -> None:
        called_at = self._locator.called_at(sys._getframe(2))
        outputs = list(tensors_in(result))
        values = integers(self.known.get(outputs[0])) if len(outputs) == 1 else None
        specs = tuple(spec_of(tensor) for tensor in outputs)
        parts = bool(outputs) and not isinstance(result, torch.Tensor)
        view = View.of(result) if isinstance(result, torch.Tensor) else None
        node.meta[CALL] = CallRecord(specs, module, called_at, macs, values, parts, view)
        if isinstance(result, torch.Tensor):
            self._bind(node, result)
        else:
            self._bind_parts(node, result, module, called_at)

    def _bind_parts(self, node: fx.Node, value: Any, module: str, at: SourceSpan | None) -> None:
        if isinstance(value, torch.Tensor):
            self._bind(node, value)
            return
        items: list[tuple[Any, Any]] = []
        if isinstance(value, (list, tuple)):
            items = list(enumerate(value))
        elif isinstance(value, dict):
            items = list(value.items())
        for key, item in items:
            if any(True for _ in tensors_in(item)):
                part = self.graph.call_function(operator.getitem, (node, key))
                specs = tuple(spec_of(tensor) for tensor in tensors_in(item))
                inner = not isinstance(item, torch.Tensor)
                view = None if inner else View.of(item)
                part.meta[CALL] = CallRecord(specs, module, at, parts=inner, view=view)
                self._bind_parts(part, item, module, at)


# What the recorder asks tensors is not recorded.
_unseen = torch._C.DisableTorchFunction

_DESCRIPTORS = (MethodDescriptorType, WrapperDescriptorType)
_READS_CONTENT = frozenset(
    ["item", "tolist", "__bool__", "__int__", "__float__", "__index__", "numpy", "equal"]
)
_IN_PLACE_DUNDERS = frozenset(
    f"__{name}__" for name in "setitem iadd isub imul idiv itruediv iand ior".split()
)


def _writes(func: Any, kwargs: dict[str, Any]) -> bool:
    name = func.__name__
    in_place = name.endswith("_") and not name.endswith("__")
    return in_place or name in _IN_PLACE_DUNDERS or bool(kwargs.get("inplace"))


def _is_ours(error: BaseException) -> bool:
    """Return whether the error is a slip of convlint's own code, and no failure of the model."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    here = trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE)
    return here and isinstance(error, (NameError, AttributeError, KeyError))


def _outside(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame that is not this package's."""
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return frame


class _Mode(TorchFunctionMode):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._recorder.function(func, args, kwargs or {})


def record(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    locator: Locator,
    known: KnownValues,
    outputs: Sequence[str] = (),
) -> Trace:
    """Run ``model`` once and return its trace; ``outputs`` are those that are read, if not all.

    An error of the model is kept in ``Trace.stopped`` beside what was recorded; ReadError is
    raised for an output that it has not.
    """
    recorder = Recorder(model, locator, known)
    for place, tensor in enumerate(tensors_in((args, kwargs))):
        recorder.placeholder(f"x{place}" if place else "x", tensor)
    original = nn.Module.__call__

    def __call__(module: nn.Module, *a: Any, **k: Any) -> Any:
        if type(module).__name__ == "OptimizedModule":
            return module._orig_mod(*a, **k)
        return recorder.module(module, original, a, k)

    nn.Module.__call__ = __call__  # type: ignore[method-assign]
    try:
        with torch.no_grad(), _Mode(recorder):
            result = model(*args, **kwargs)
    except (Exception, SystemExit) as error:
        if _is_ours(error):
            raise
        recorder.trace.stopped = error
        return recorder.trace
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]
    recorder.finish(result, outputs)
    return recorder.trace
