"""Times a model as it is, with each rule's rewrites and with all of them, side by side."""

from __future__ import annotations

import copy
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import torch
from torch import nn

from convlint.applying import backends
from convlint.applying.backends import Runner, Unavailable
from convlint.applying.given import Given
from convlint.applying.recording import start
from convlint.applying.rewrite import Applied, apply
from convlint.checking.run import ActiveRule
from convlint.profiles import GENERIC, Target
from convlint.tracing import inputs, twins
from convlint.tracing.tensors import tensors_in
from convlint.work import ChangeTold, Timed, Timing, WorkReply

_LEAST, _MOST = 7, 400
Clock = Callable[[], float]
NOW, ALL = "now", "all exact rewrites"


@dataclass(frozen=True, slots=True)
class Variant:
    """A model to time, its inputs, and its MACs."""

    name: str
    model: nn.Module
    inputs: tuple[torch.Tensor, ...]
    macs: int


def measure(
    given: Sequence[Given], active: tuple[ActiveRule, ...], timing: Timing, profile: Target
) -> WorkReply:
    """Return the times of one model now and rewritten, or of two models side by side.

    Variants are called in turn, after a warm-up of each; every figure is a median over the calls.
    """
    made: list[Applied] = []
    asked = [_at_batch(one, timing.batch) for one in given]
    if len(asked) == 1:
        variants = _rewritten(asked[0], active, timing, profile, made)
    else:
        variants = [_plain(one) for one in asked]
    variants = [_as_dtype(variant, timing.dtype) for variant in variants]
    timed: list[Timed] = []
    skipped: list[str] = []
    for backend in timing.backends:
        rows, why = on_backend(backend, variants, timing)
        timed += rows
        skipped += why
    return WorkReply(
        inputs=asked[0].specs,
        changes=tuple(
            ChangeTold(c.code, c.name, c.modules, c.exact, c.at_size)
            for one in made
            for c in one.changes
        ),
        refused=tuple(text for one in made for text in one.refused),
        timed=tuple(timed),
        skipped=tuple(skipped),
        notes=_notes(asked, made),
        machine=machine(timing),
    )


def _notes(asked: Sequence[Given], made: Sequence[Applied]) -> tuple[str, ...]:
    changed = len(asked) > 1 or any(one.changes for one in made)
    nothing = () if changed else ("no exact rewrite to time",)
    return (*nothing, *(f"left {text}" for one in made for text in one.left))


def machine(timing: Timing) -> str:
    """Return what the times belong to: processor, threads, versions."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [
                line.partition(":")[2].strip() for line in file if line.startswith("model name")
            ]
        cpu = names[0] if names else cpu
    except OSError:
        pass
    threads = "1 thread" if timing.threads == 1 else f"{timing.threads} threads"
    return f"{cpu}, {os.cpu_count()} cores, {threads}, torch {torch.__version__}, {timing.dtype}"


def _at_batch(given: Given, batch: int | None) -> Given:
    """Return the same with another batch size, in every input that has that of the first."""
    if batch is None or not given.specs[0].shape:
        return given
    old = given.specs[0].shape[0]
    specs = tuple(
        msgspec.structs.replace(spec, shape=(batch, *spec.shape[1:]))
        if spec.shape[:1] == (old,)
        else spec
        for spec in given.specs
    )
    args, kwargs = inputs.make(specs, "cpu")
    return replace(given, args=args, kwargs=kwargs, specs=specs)


def _plain(given: Given) -> Variant:
    """Return the model itself; its MACs are those of the recorded run."""
    with twins.as_it_is(given.model) as storages:
        told = (given.args, dict(given.kwargs))
        recording = start(given.model, told, storages, profile=GENERIC, inferred=given.inferred)
        module = recording.module()
    name = given.expression or given.target
    return Variant(name, module, _tensors(given), recording.start.cost.macs)


def _rewritten(
    given: Given,
    active: tuple[ActiveRule, ...],
    timing: Timing,
    profile: Target,
    made: list[Applied],
) -> list[Variant]:
    """Return the model as it is, each rule's rewrites alone, and all exact ones."""
    plain = _plain(given)
    variants = [Variant(NOW, plain.model, plain.inputs, plain.macs)]
    everything = _apply(given, active, profile)
    made.append(everything)
    if not everything.changes:
        return variants
    codes = dict.fromkeys(change.code for change in everything.changes)
    if timing.each and len(codes) > 1:
        for code in codes:
            alone = tuple(one for one in active if one.rule.meta.code == code)
            variants.append(_variant(_named(alone[0]), given, _apply(given, alone, profile)))
    only = [one for one in active if one.rule.meta.code in codes]
    name = ALL if len(codes) > 1 else _named(only[0])
    variants.append(_variant(name, given, everything))
    return variants


def _named(one: ActiveRule) -> str:
    return f"{one.rule.meta.code} {one.rule.meta.name}"


def _apply(given: Given, active: tuple[ActiveRule, ...], profile: Target) -> Applied:
    return apply(given.task(active, profile))


def _variant(name: str, given: Given, made: Applied) -> Variant:
    return Variant(name, made.module, _tensors(given), made.after.cost.macs)


def _tensors(given: Given) -> tuple[torch.Tensor, ...]:
    return tuple(tensors_in((given.args, dict(given.kwargs))))


def _as_dtype(variant: Variant, dtype: str) -> Variant:
    if dtype == "float32":
        return variant
    kind = getattr(torch, dtype)
    model = copy.deepcopy(variant.model).to(kind)
    given = tuple(t.to(kind) if t.is_floating_point() else t for t in variant.inputs)
    return Variant(variant.name, model, given, variant.macs)


def on_backend(
    backend: str, variants: Sequence[Variant], timing: Timing, clock: Clock = time.perf_counter
) -> tuple[list[Timed], list[str]]:
    """Return the times of all variants on one backend, and a sentence for each that did not run.

    With one thread ``clock`` may be ``time.process_time``, which stands still while other programs
    have the processor.
    """
    runners: list[tuple[Variant, Runner]] = []
    skipped = []
    for variant in variants:
        try:
            call = backends.runner(backend, variant.model, variant.inputs, timing.threads)
        except Unavailable as error:
            if not runners:
                return [], [f"{backend}: {error}"]
            skipped.append(f"{backend}, {variant.name}: {error}")
            continue
        runners.append((variant, call))
    samples = _interleaved([call for _, call in runners], timing.seconds, clock)
    first, base = samples[0], runners[0][0].macs
    rows = [
        _row(backend, variant, times, first, base)
        for (variant, _), times in zip(runners, samples, strict=True)
    ]
    return rows, skipped


def _interleaved(calls: Sequence[Runner], seconds: float, clock: Clock) -> list[list[float]]:
    """Return the seconds of each call, all called in turn until the time is up."""
    for call in calls:
        call()
    samples: list[list[float]] = [[] for _ in calls]
    until = clock() + seconds
    rounds = 0
    while rounds < _MOST and (rounds < _LEAST or clock() < until):
        order = range(len(calls)) if rounds % 2 == 0 else range(len(calls) - 1, -1, -1)
        for place in order:
            started = clock()
            calls[place]()
            samples[place].append(clock() - started)
        rounds += 1
    return samples


def _row(
    backend: str, variant: Variant, times: list[float], first: list[float], base: int
) -> Timed:
    middle, low, high = interval(times)
    ratios = [a / b for a, b in zip(times, first, strict=True)]
    ratio, ratio_low, ratio_high = interval(ratios)
    return Timed(
        backend, variant.name, middle, low, high, ratio, ratio_low, ratio_high, len(times),
        variant.macs, variant.macs / base if base else 1.0,
    )  # fmt: skip


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median and the interval that holds the true one in 95 of 100 cases.

    By order statistics: no shape of the distribution is assumed.
    """
    ordered = sorted(values)
    count = len(ordered)
    reach = 0.98 * math.sqrt(count)
    low = ordered[max(0, math.floor(count / 2 - reach))]
    high = ordered[min(count - 1, math.ceil(count / 2 + reach))]
    return statistics.median(ordered), low, high
