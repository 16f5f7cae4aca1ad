"""Reads a model instance in this process: the library call, without a wall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from convlint.tracing import build, failures, read, stubs
from convlint.tracing.failures import ReadError
from convlint.tracing.sources import ConstructorLines, Locator
from convlint.tracing.tensors import map_tensors, spec_of, tensors_in
from convlint.wire import Failure, InputSpec, Reply, Request


def read_instance(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    target: str,
    outputs: tuple[str, ...] = (),
) -> Reply:
    """Return the Reply for a built model and its inputs (without inputs they are inferred).

    The model may live on any device; it runs on meta twins of its weights and is left as it
    was found. ``outputs`` are those that are read, if not all. Failures are in the reply; raises TypeError for something that is no Module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"a torch.nn.Module is needed, not {type(model).__name__}")
    stubs.install()
    locator = Locator(str(Path.cwd()))
    request = Request(target, locator.root.as_posix(), outputs=outputs)
    given = list(tensors_in((args, kwargs)))
    specs = tuple(InputSpec(spec_of(t).shape, spec_of(t).dtype) for t in given)
    try:
        if given or args or kwargs:
            reading = _read_given(model, (args, kwargs), specs, locator, outputs)
        else:
            reading = read.read_model(model, request, locator)
    except ReadError as error:
        return Reply(target, "failed", failure=error.failure, sources=locator.sources)
    return _reply(reading, model, target, locator)


def read_made(
    make: Any, specs: tuple[InputSpec, ...], *, target: str, outputs: tuple[str, ...] = ()
) -> Reply:
    """Return the Reply for the model that ``make`` is or gives, built with weights on meta.

    ``specs`` are its inputs (none: they are inferred), ``outputs`` those that are read. Every failure is in the reply.
    """
    stubs.install()
    locator = Locator(str(Path.cwd()))
    given = (specs,) if specs else ()
    request = Request(target, locator.root.as_posix(), inputs=given, outputs=outputs)
    try:
        with ConstructorLines(locator):
            model = make if isinstance(make, nn.Module) else _made(make, locator)
            reading = read.read_model(model, request, locator)
    except ReadError as error:
        return Reply(target, "failed", failure=error.failure, sources=locator.sources)
    return _reply(reading, model, target, locator)


def _made(make: Any, locator: Locator) -> nn.Module:
    try:
        model = build.build(make)
    except Exception as error:
        what = "building the model failed"
        raise ReadError(failures.describe(error, "build-error", locator, what=what)) from error
    if not isinstance(model, nn.Module):
        what = f"a {type(model).__name__} was made, not a torch.nn.Module"
        raise ReadError(Failure("not-a-module", what))
    return model


def _reply(reading: read.Reading, model: nn.Module, target: str, locator: Locator) -> Reply:
    return Reply(
        target=target,
        status="partial" if reading.stopped else "complete",
        class_name=type(model).__name__,
        inputs=reading.inputs,
        graph=reading.graph.document(),
        diagnostics=read.stopped_diagnostics(reading),
        sources=locator.sources,
        torch_version=str(torch.__version__),
    )


def _read_given(
    model: nn.Module,
    given: tuple[tuple[Any, ...], dict[str, Any]],
    specs: tuple[InputSpec, ...],
    locator: Locator,
    outputs: tuple[str, ...],
) -> read.Reading:
    def meta(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty_strided(
            tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="meta"
        )

    on_meta = map_tensors(given, meta)
    return read.read_with(model, on_meta, given, specs, locator, outputs)
