"""Serves one Request: load, build, find inputs, record, lower."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import fx, nn

from convlint.ir.graph import ModelGraph
from convlint.ir.validate import validate
from convlint.tracing import build, failures, inputs, load, stubs, twins, unpacked
from convlint.tracing.failures import ReadError
from convlint.tracing.lowering import lower
from convlint.tracing.sources import ConstructorLines, Locator
from convlint.tracing.tensors import KnownValues
from convlint.tracing.tracer import Trace, record
from convlint.wire import Diagnostic, Failure, InputSpec, Reply, Request

_ATTEMPTS = 80
_REAL_ATTEMPTS = 2
Names = tuple[str, ...]
_HOPELESS = (AttributeError, NameError, ImportError, RecursionError, MemoryError, SystemExit)


@dataclass(frozen=True, slots=True)
class Reading:
    """A model that was read: its graph, its inputs, and what stopped it early.

    ``by_values`` is the failure that made it run on real tensors, with random values.
    """

    graph: ModelGraph
    inputs: tuple[InputSpec, ...]
    stopped: Failure | None = None
    by_values: Failure | None = None


def read(request: Request) -> Reply:
    """Return the Reply to ``request``; every failure of user code is in it, none is raised."""
    started = time.perf_counter()
    locator = Locator(request.root)
    stubs.install()
    try:
        with ConstructorLines(locator):
            module = load.import_target(request, locator)
            model, expression = load.make_model(request, module, locator)
            reading = read_model(model, request, locator)
    except ReadError as error:
        skipped = request.tentative and error.failure.kind == "not-a-module"
        return Reply(
            request.target,
            "skipped" if skipped else "failed",
            failure=error.failure,
            sources=locator.sources,
        )
    return Reply(
        target=request.target,
        status="partial" if reading.stopped else "complete",
        expression=expression,
        class_name=type(model).__name__,
        inputs=reading.inputs,
        graph=reading.graph.document(),
        diagnostics=stopped_diagnostics(reading),
        sources=locator.sources,
        torch_version=str(torch.__version__),
        seconds=time.perf_counter() - started,
    )


def stopped_diagnostics(reading: Reading) -> tuple[Diagnostic, ...]:
    """Return the diagnostic of a run that stopped early or needed values, if it did."""
    if reading.by_values is not None:
        what = "what runs depends on the values of tensors: counted in one run on random ones"
        return (Diagnostic("CL901", what, "info", reading.by_values.location),)
    if reading.stopped is None:
        return ()
    what = f"read up to here only: {reading.stopped.message}"
    return (Diagnostic("CL901", what, "warning", reading.stopped.location),)


def read_model(model: nn.Module, request: Request, locator: Locator) -> Reading:
    """Return the reading of a built model with the first inputs that it accepts.

    Raises ReadError where none works, or where nothing ran.
    """
    first: Failure | None = None
    tried: list[tuple[InputSpec, ...]] = []
    asked: set[int] = set()
    waiting: Iterator[inputs.Inputs] = inputs.candidates(request, model)
    while (specs := next(waiting, None)) is not None:
        tried.append(specs)
        trace, reading = _attempt(model, specs, locator, request.outputs)
        if reading is not None:
            return reading
        assert trace.stopped is not None
        failure = _forward_failure(trace, specs, locator)
        first = first or failure
        if isinstance(trace.stopped, _HOPELESS) or len(tried) > _ATTEMPTS:
            break
        axes = unpacked.axes_wanted(trace.stopped, specs)
        if axes is not None and axes not in asked:
            asked.add(axes)
            waiting = itertools.chain(unpacked.with_axes(model, axes), waiting)
    assert first is not None
    return _last_resort(model, request, locator, _with_tried(first, tried))


def _with_tried(failure: Failure, tried: list[tuple[InputSpec, ...]]) -> Failure:
    """Return the failure of the first inputs; it tells which others were tried in vain."""
    if len(tried) < 2:
        return failure
    some = ", ".join(_shapes_of(specs) for specs in tried[1:4])
    more = f", and {len(tried) - 4} more" if len(tried) > 4 else ""
    message = f"{failure.message} (also tried {some}{more})"
    return msgspec.structs.replace(failure, message=message)


def _shapes_of(specs: tuple[InputSpec, ...]) -> str:
    return " with ".join("x".join(map(str, spec.shape)) for spec in specs)


def _last_resort(model: nn.Module, request: Request, locator: Locator, failure: Failure) -> Reading:
    """Return a reading on real tensors of the first inputs; raise ReadError(failure) if none works.

    Some code fails on meta tensors with an error of its own.
    """
    for specs in itertools.islice(inputs.candidates(request, model), _REAL_ATTEMPTS):
        real = _on_real_tensors(model, inputs.make(specs, "cpu"), locator, request.outputs)
        if real is not None:
            return Reading(real, specs, by_values=failure)
    raise ReadError(failure)


def _attempt(
    model: nn.Module, specs: tuple[InputSpec, ...], locator: Locator, outputs: Names
) -> tuple[Trace, Reading | None]:
    """Run the model on meta, then, where values are needed, on real tensors."""
    trace, graph = run(model, *inputs.make(specs, "meta"), locator=locator, outputs=outputs)
    if trace.stopped is None:
        _require_work(trace, specs)
        return trace, Reading(graph, specs)
    if not needs_values(trace.stopped):
        return trace, None
    real = _on_real_tensors(model, inputs.make(specs, "cpu"), locator, outputs)
    failure = _forward_failure(trace, specs, locator)
    if real is not None:
        return trace, Reading(real, specs, by_values=failure)
    if len(graph) > len(specs):
        return trace, Reading(graph, specs, failure)
    return trace, None


def read_with(
    model: nn.Module,
    on_meta: tuple[tuple[Any, ...], dict[str, Any]],
    given: tuple[tuple[Any, ...], dict[str, Any]],
    specs: tuple[InputSpec, ...],
    locator: Locator,
    outputs: Names = (),
) -> Reading:
    """Return the reading of ``model`` on inputs the caller made; raise ReadError if it fails.

    ``outputs`` are those that are read, if not all. Where values are needed the model runs on the
    ``given`` inputs themselves.
    """
    trace, graph = run(model, *on_meta, locator=locator, outputs=outputs)
    if trace.stopped is None:
        _require_work(trace, specs)
        return Reading(graph, specs)
    failure = _forward_failure(trace, specs, locator)
    real = _on_real_tensors(model, given, locator, outputs)
    if real is not None:
        return Reading(real, specs, by_values=failure)
    if not needs_values(trace.stopped):
        raise ReadError(failure)
    return Reading(graph, specs, failure)


def _on_real_tensors(
    model: nn.Module,
    given: tuple[tuple[Any, ...], dict[str, Any]],
    locator: Locator,
    outputs: Names,
) -> ModelGraph | None:
    """Return the graph of a run on tensors with content, or None where that stops early too."""
    try:
        model = build.settled(model, *given)
    except Exception:
        return None
    with twins.on_cpu(model) as storages:
        trace = record(model, *given, locator=locator, known=KnownValues(), outputs=outputs)
        return None if trace.stopped is not None else validate(lower(trace, storages))


def run(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    locator: Locator,
    outputs: Names = (),
) -> tuple[Trace, ModelGraph]:
    """Record one run of ``model`` on meta twins of its weights and lower it.

    The model is left as it was. A run that stopped early gives the graph up to there.
    """
    known = KnownValues()
    try:
        model = build.settled(model, args, kwargs)
    except Exception as error:
        return Trace(fx.Graph(), model, stopped=error), ModelGraph(())
    with twins.on_meta(model, known) as storages:
        trace = record(model, args, kwargs, locator=locator, known=known, outputs=outputs)
        graph = lower(trace, storages)
    return trace, validate(graph)


def needs_values(error: BaseException) -> bool:
    """Return whether the run stopped because meta tensors have no content."""
    text = str(error)
    marks = (
        "meta tensor",
        "Meta tensor",
        "'Meta' backend",
        "data-dependent",
        "meta device",
        "device meta",
    )
    return isinstance(error, NotImplementedError) or any(mark in text for mark in marks)


def _require_work(trace: Trace, specs: tuple[InputSpec, ...]) -> None:
    if any(node.op.startswith("call") for node in trace.graph.nodes):
        return
    shapes = _shapes_of(specs)
    what = f"forward ran no torch operation on {shapes}"
    raise ReadError(Failure("nothing-executed", what, "is this the model that is deployed?"))


def _forward_failure(trace: Trace, specs: tuple[InputSpec, ...], locator: Locator) -> Failure:
    shapes = _shapes_of(specs)
    origin = specs[0].origin if specs else "declared"
    error = trace.stopped
    assert error is not None
    if type(trace.model).forward is nn.Module.forward:
        what = f"{type(trace.model).__name__} has no forward"
        return Failure("forward-error", what, "define forward, or name another model")
    if needs_values(error):
        what = f"forward needs the values of tensors on the {origin} input {shapes}"
        fix = "check the model with convlint.lint(model, real_inputs) in Python"
        return failures.describe(error, "data-dependent", locator, what=what, fix=fix)
    what = f"forward failed on the {origin} input {shapes}"
    if trace.failed_call:
        what += f" at {trace.failed_call}"
    fix = _input_advice(trace.model, error, declared=origin == "declared")
    return failures.describe(error, "forward-error", locator, what=what, fix=fix)


def _input_advice(model: nn.Module, error: BaseException, *, declared: bool) -> str:
    """Return how to give the inputs, by the names ``forward`` has; nothing for a plain bug."""
    if isinstance(error, _HOPELESS):
        return ""
    names = inputs.names_of(model)
    taken = ", ".join(names)
    if declared:
        return f"forward takes {taken}: check --input (or inputs in pyproject)"
    built = f"or which arguments: --model '{type(model).__name__}(...)'"
    if len(names) == 1:
        return f"say which shape fits: --input NxCxHxW, with numbers; {built}"
    example = " ".join(f"--input {name}=NxCxHxW" for name in names)
    return f"say which shapes fit: {example}, with numbers; {built}"
