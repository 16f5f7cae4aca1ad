"""``convlint.lint_many``: many models, one after the other or on anybody's executor."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint import api, checking, discover, errors, frames, wire
from convlint.settings import ALL_RULES, parse_inputs

if TYPE_CHECKING:
    from convlint.contract import ModelReport

AHEAD = 64
"""Models that are under way at a time: reports come in order, and memory stays the same."""

# Recording a run watches torch for the whole process: threads take turns.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to lint: what makes it, its input shapes, and what the report calls it.

    ``make`` is a callable without arguments (``functools.partial(Net, width=32)``), a built
    ``torch.nn.Module``, or a target as on the command line (``"nets/space.py:build(32)"``).
    ``inputs`` are written as after ``--input``; without any they are inferred. ``outputs`` are
    those that inference reads, none for all. To go to another process it has to be picklable, which a lambda is not.
    """

    make: Any
    inputs: tuple[str, ...] = ()
    name: str = ""
    outputs: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rules and the profile of a sweep, as :func:`convlint.lint` takes them."""

    select: tuple[str, ...] = (ALL_RULES,)
    ignore: tuple[str, ...] = ()
    profile: str = "generic"


def lint_many(
    requests: Iterable[Any],
    executor: Executor | None = None,
    *,
    select: Iterable[str] = (ALL_RULES,),
    ignore: Iterable[str] = (),
    profile: str = "generic",
    ahead: int = AHEAD,
) -> Iterator[ModelReport]:
    """Yield the report of every model, in the order of the requests.

    A request is a :class:`Candidate` or what its ``make`` is. Without an ``executor`` they are
    linted here, each when its report is asked for; with one (``ProcessPoolExecutor``, Dask's
    ``Client.get_executor()``, any ``concurrent.futures.Executor``) in its workers, at most
    ``ahead`` at a time, so that ``requests`` may be a generator of any length. The models are
    made where they are linted, with weights on meta.

    A model that cannot be made or read gives a report with status ``failed``. Raises
    ConvlintError for an unknown rule or profile, before the first report.
    """
    chosen = Chosen(tuple(select), tuple(ignore), profile)
    api.active_rules("lint_many()", chosen.select, chosen.ignore, chosen.profile)
    candidates = (r if isinstance(r, Candidate) else Candidate(r) for r in requests)
    if executor is None:
        return (lint_candidate(candidate, chosen) for candidate in candidates)
    return _spread(candidates, chosen, executor, max(ahead, 1))


def _spread(
    candidates: Iterator[Candidate], chosen: Chosen, executor: Executor, ahead: int
) -> Iterator[ModelReport]:
    """Keep the executor busy, and yield the reports in order."""
    waiting: deque[Future[ModelReport]] = deque()
    try:
        for candidate in candidates:
            waiting.append(executor.submit(lint_candidate, candidate, chosen))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def lint_candidate(candidate: Candidate, chosen: Chosen) -> ModelReport:
    """Return the report of one model, made and read in this process."""
    rules, settings = api.active_rules("lint_many()", chosen.select, chosen.ignore, chosen.profile)
    with _ONE_AT_A_TIME:
        reply = _read(candidate)
    report = checking.check_model(reply, rules, profile=settings.profile)
    return frames.fill(report, reply.sources)


def _read(candidate: Candidate) -> wire.Reply:
    name = candidate.name or _name_of(candidate.make)
    try:
        specs, outputs = parse_inputs(candidate.inputs), api.output_names(candidate.outputs)
        if isinstance(candidate.make, str):
            return _read_target(candidate, specs, outputs)
        from convlint.tracing import inline

        return inline.read_made(candidate.make, specs, target=name, outputs=outputs)
    except errors.ConvlintError as error:
        failure = wire.Failure("build-error", error.format())
        return wire.Reply(name, "failed", failure=failure)


def _read_target(
    candidate: Candidate, specs: tuple[wire.InputSpec, ...], outputs: tuple[str, ...]
) -> wire.Reply:
    from convlint.tracing import read

    targets = discover.locate((candidate.make,), discover.Filter(force=True))
    found = discover.read(targets, (), specs, outputs=outputs)
    if len(found) != 1:
        names = ", ".join(item.what.target for item in found)
        what = f"one model is needed, and {len(found)} are there ({names})"
        raise errors.UsageError(what, where=candidate.make, fix="name one: file.py:EXPR")
    what_ = found[0].what
    if isinstance(what_, wire.Reply):
        return what_
    import msgspec

    request = msgspec.structs.replace(what_, target=candidate.name or what_.target)
    return read.read(request)


def _name_of(make: Callable[[], Any] | Any) -> str:
    if isinstance(make, str):
        return make
    inner = getattr(make, "func", make)
    words = [repr(arg) for arg in getattr(make, "args", ())]
    words += [f"{key}={value!r}" for key, value in getattr(make, "keywords", {}).items()]
    name = getattr(inner, "__name__", type(inner).__name__)
    return f"{name}({', '.join(words)})" if words else str(name)
