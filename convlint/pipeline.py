"""The order of the steps of a run, on one screen.

targets -> Requests -> Replies -> ModelReports -> Outcomes that count -> RunReport
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import convlint
from convlint import checking, discover, frames, gate, wire
from convlint.cache.replies import Replies
from convlint.contract import SCHEMA_VERSION, Rule, RuleInfo, RunReport, Tool
from convlint.sandbox import Limits, Sandbox
from convlint.sandbox.server import Server
from convlint.settings import Settings
from convlint.settings.python import interpreter
from convlint.timing import Stopwatch


@dataclass(frozen=True, slots=True)
class Job:
    """What one run is asked for, beside the settings.

    ``targets`` empty means the models that the settings declare. ``inputs`` is the one input
    list of ``--input``, ``outputs`` the names of ``--outputs``; ``model`` the expression of
    ``--model``. Findings that ``baseline`` or the ``base`` run has are known; ``accept`` makes all
    of them so, to write a baseline. ``expecting`` hears how many models there are, once that is
    known. ``server`` is a child that was started before; ``meanwhile`` is called while the child
    is at work. ``cache`` is the folder that replies are kept in, None for none; ``box`` a sandbox
    that is open already. ``stopwatch`` measures the steps and the rules. ``shard`` (K, N) is the K-th of N parts of
    the models, every N-th of them, each with all the inputs that are declared for it.
    """

    targets: tuple[str, ...] = ()
    model: str = ""
    inputs: tuple[wire.InputSpec, ...] = ()
    outputs: tuple[str, ...] = ()
    python: str | None = None
    limits: Limits = field(default_factory=Limits)
    force_exclude: bool = False
    hook: bool = False
    strict: bool = False
    exit_zero: bool = False
    baseline: gate.Baseline | None = None
    strict_baseline: bool = False
    accept: bool = False
    base: RunReport | None = None
    base_name: str = ""
    expecting: Callable[[int], None] | None = None
    server: Server | None = None
    meanwhile: Callable[[], None] | None = None
    cache: Path | None = None
    box: Sandbox | None = None
    stopwatch: Stopwatch | None = None
    shard: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: the report, and what became of each model, failures included.

    ``interrupted`` is true where Ctrl-C ended it: the report holds the models read until then.
    Of the baseline's entries ``stale`` can go, and ``kept`` are those of models not read.
    ``replies`` is the cache that was used.
    """

    report: RunReport
    outcomes: tuple[gate.Outcome, ...]
    interrupted: bool = False
    stale: tuple[gate.Entry, ...] = ()
    kept: tuple[gate.Entry, ...] = ()
    replies: Replies | None = None


Listener = Callable[[wire.Reply], None]


def check(job: Job, settings: Settings, listen: Listener | None = None) -> Run:
    """Check the models of ``job``; ``listen`` hears every Reply as it comes.

    Raises ConvlintError where the run cannot be started; what happens to one model is in its
    report.
    """
    targets = _locate(job, settings)
    if not targets:
        rules = gate.known_rules()
        return _judged((), rules, gate.active_rules(rules, settings), job, settings)
    python = interpreter(targets[0].root, job.python)
    cache = Replies(str(job.cache), python) if job.cache is not None else None
    watch = job.stopwatch or Stopwatch()
    with _sandbox(python, job) as box:
        with watch.running("load the rules"):  # while the child imports torch
            rules = gate.known_rules()
            active = gate.active_rules(rules, settings)
        with watch.running("find the models"):
            found = discover.read(
                targets, settings.models, job.inputs, outputs=job.outputs, hook=job.hook
            )
        found = discover.part(found, job.shard)
        if job.expecting is not None:
            job.expecting(len(found))
        timed = watch.around(active) if job.stopwatch is not None else active
        outcomes: list[gate.Outcome] = []
        hear = listen or (lambda _: None)
        interrupted = False
        try:
            answers = discover.by_model(_answers(found, box, cache, job))
            for model in watch.drawn("wait for models", answers):
                with watch.running("check"):
                    outcomes += _check(model, timed, settings)
                for _, reply in model:
                    hear(reply)
        except KeyboardInterrupt:
            interrupted = True
    settled = gate.settle(outcomes, strict=job.strict, hook=job.hook)
    run = _judged(settled, rules, active, job, settings)
    return replace(run, interrupted=interrupted, replies=cache)


def _sandbox(python: str | None, job: Job) -> AbstractContextManager[Sandbox]:
    if job.box is not None:
        return nullcontext(job.box)
    return Sandbox(python, job.limits, server=job.server, lazy=job.cache is not None)


def _locate(job: Job, settings: Settings) -> tuple[discover.Target, ...]:
    if not job.targets:
        return discover.declared_targets(settings.models, settings.root)
    chosen = discover.Filter(settings.exclude, force=job.force_exclude)
    return discover.locate(job.targets, chosen, model=job.model, hook=job.hook)


def _answers(
    found: Sequence[discover.Found],
    box: Sandbox,
    cache: Replies | None,
    job: Job,
) -> Iterator[tuple[discover.Found, wire.Reply]]:
    """Yield the Reply to each model in order; those known beforehand are not sent."""
    requests = [item.what for item in found if isinstance(item.what, wire.Request)]
    known = [cache.find(request) if cache else None for request in requests]
    missing = [request for request, reply in zip(requests, known, strict=True) if reply is None]
    replies = box.run(missing) if missing else iter(())
    if job.meanwhile is not None:
        job.meanwhile()
    kept = iter(known)
    for item in found:
        if not isinstance(item.what, wire.Request):
            yield item, item.what
            continue
        reply = next(kept)
        if reply is None:
            reply = next(replies)
            if cache is not None:
                cache.keep(item.what, reply)
        yield item, gate.excused(item.what, reply)


def _check(
    model: Sequence[tuple[discover.Found, wire.Reply]],
    active: tuple[checking.ActiveRule, ...],
    settings: Settings,
) -> Iterator[gate.Outcome]:
    """Yield what became of one model at each of the inputs declared for it."""
    rules, profile = gate.graph_rules(active), settings.profile
    reports = checking.check_at_each([reply for _, reply in model], rules, profile=profile)
    for (item, reply), report in zip(model, reports, strict=True):
        request = item.what if isinstance(item.what, wire.Request) else None
        yield gate.made_of(item.asked, request, reply, report, settings.models)


def _judged(
    outcomes: tuple[gate.Outcome, ...],
    rules: tuple[Rule, ...],
    active: tuple[checking.ActiveRule, ...],
    job: Job,
    settings: Settings,
) -> Run:
    """Return the run: limits checked, frames filled, overrides and comments heard, known findings marked."""
    codes = frozenset(one.rule.meta.code for one in active)
    outcomes = gate.without_private(outcomes, settings.root)
    if job.base is not None:
        outcomes = gate.with_base(outcomes, job.base.models)
    outcomes = gate.check_limits(outcomes, active, compared=job.base is not None)
    outcomes = tuple(_framed(outcome) for outcome in outcomes)
    outcomes = gate.override(outcomes, settings.overrides)
    outcomes = gate.suppress(outcomes, rules, codes)
    marked = gate.mark(
        outcomes,
        job.baseline.entries if job.baseline else (),
        here=settings.root if job.hook else None,
    )
    stale = gate.stale(marked.left, marked.outcomes, codes, settings.root)
    outcomes = marked.outcomes
    if job.base is not None:
        outcomes = gate.mark(outcomes, gate.entries_of(job.base.models)).outcomes
    if job.accept:
        outcomes = gate.accept(outcomes)
    report = RunReport(
        schema_version=SCHEMA_VERSION,
        tool=Tool("convlint", convlint.__version__),
        models=tuple(outcome.report for outcome in outcomes),
        summary=gate.judge(
            outcomes,
            settings.fail_level,
            exit_zero=job.exit_zero,
            stale=len(stale),
            strict_baseline=job.strict_baseline,
        ),
        profile=settings.profile.name,
        rules=_told(active, outcomes),
        base=job.base_name,
        baseline=job.baseline.shown if job.baseline else "",
    )
    return Run(report, outcomes, stale=stale, kept=tuple(gate.kept(marked, stale)))


def _framed(outcome: gate.Outcome) -> gate.Outcome:
    return replace(outcome, report=frames.fill(outcome.report, outcome.sources))


def _told(
    active: tuple[checking.ActiveRule, ...], outcomes: Sequence[gate.Outcome]
) -> tuple[RuleInfo, ...]:
    """Return the rules that ran; those about limits where one is declared."""
    limits = gate.declared_codes([limit for outcome in outcomes for limit in outcome.limits])
    return tuple(
        _info(one)
        for one in active
        if not gate.is_budget(one.rule.meta.code) or one.rule.meta.code in limits
    )


def _info(one: checking.ActiveRule) -> RuleInfo:
    meta = one.rule.meta
    return RuleInfo(
        meta.code,
        meta.name,
        meta.summary,
        meta.exact,
        at_size=meta.at_size,
        done_by=meta.done_by,
        severity=one.severity,
    )
