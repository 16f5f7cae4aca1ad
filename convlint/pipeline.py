"""The order of the steps of a run, on one screen.

targets -> Requests -> Replies -> ModelReports -> Outcomes that count -> RunReport
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import convlint
from convlint import checking, discover, frames, gate, plugins, wire
from convlint.contract import SCHEMA_VERSION, RuleInfo, RuleMeta, RunReport, Tool
from convlint.sandbox import Limits, Sandbox
from convlint.settings import Settings
from convlint.settings.python import interpreter


@dataclass(frozen=True, slots=True)
class Job:
    """What one run is asked for, beside the settings.

    ``targets`` empty means the models that the settings declare. ``inputs`` is the one input
    list of ``--input``; ``model`` the expression of ``--model``.
    """

    targets: tuple[str, ...] = ()
    model: str = ""
    inputs: tuple[wire.InputSpec, ...] = ()
    python: str | None = None
    limits: Limits = field(default_factory=Limits)
    force_exclude: bool = False
    hook: bool = False
    strict: bool = False
    exit_zero: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: the report, and what became of each model, failures included.

    ``interrupted`` is true where Ctrl-C ended it: the report holds the models read until then.
    """

    report: RunReport
    outcomes: tuple[gate.Outcome, ...]
    interrupted: bool = False


Listener = Callable[[wire.Reply], None]


def check(job: Job, settings: Settings, listen: Listener | None = None) -> Run:
    """Check the models of ``job``; ``listen`` hears every Reply as it comes.

    Raises ConvlintError where the run cannot be started; what happens to one model is in its
    report.
    """
    targets = _locate(job, settings)
    if not targets:
        return _report((), gate.active_rules(plugins.load_rules(), settings), job, settings)
    with Sandbox(interpreter(targets[0].root, job.python), job.limits) as box:
        rules = plugins.load_rules()
        active = gate.active_rules(rules, settings)
        found = discover.read(targets, settings.models, job.inputs, hook=job.hook)
        outcomes: list[gate.Outcome] = []
        interrupted = False
        try:
            for asked, reply in _answers(found, box):
                outcomes.append(_check(asked, reply, active, settings, listen))
        except KeyboardInterrupt:
            interrupted = True
    settled = gate.settle(outcomes, strict=job.strict, hook=job.hook)
    codes = frozenset(one.rule.meta.code for one in active)
    run = _report(gate.suppress(settled, rules, codes), active, job, settings)
    return replace(run, interrupted=interrupted)


def _locate(job: Job, settings: Settings) -> tuple[discover.Target, ...]:
    if not job.targets:
        return discover.declared_targets(settings.models, settings.root)
    chosen = discover.Filter(settings.exclude, force=job.force_exclude)
    return discover.locate(job.targets, chosen, model=job.model, hook=job.hook)


def _answers(found: Sequence[discover.Found], box: Sandbox) -> Iterator[tuple[str, wire.Reply]]:
    """Yield the Reply to each model in order; those known beforehand are not sent."""
    requests = [item.what for item in found if isinstance(item.what, wire.Request)]
    replies = box.run(requests) if requests else iter(())
    for item in found:
        if isinstance(item.what, wire.Request):
            yield item.asked, gate.excused(item.what, next(replies))
        else:
            yield item.asked, item.what


def _check(
    asked: str,
    reply: wire.Reply,
    active: tuple[checking.ActiveRule, ...],
    settings: Settings,
    listen: Listener | None,
) -> gate.Outcome:
    if listen is not None:
        listen(reply)
    report = checking.check_model(reply, active, profile=settings.profile)
    report = frames.fill(report, reply.sources)
    return gate.Outcome(asked, report, reply.failure, sources=reply.sources)


def _report(
    outcomes: tuple[gate.Outcome, ...],
    active: tuple[checking.ActiveRule, ...],
    job: Job,
    settings: Settings,
) -> Run:
    metas = [one.rule.meta for one in active]
    report = RunReport(
        schema_version=SCHEMA_VERSION,
        tool=Tool("convlint", convlint.__version__),
        models=tuple(outcome.report for outcome in outcomes),
        summary=gate.judge(outcomes, settings.fail_level, exit_zero=job.exit_zero),
        profile=settings.profile.name,
        rules=tuple(_info(meta) for meta in metas),
    )
    return Run(report, outcomes)


def _info(meta: RuleMeta) -> RuleInfo:
    return RuleInfo(
        meta.code, meta.name, meta.summary, meta.exact, at_size=meta.at_size, done_by=meta.done_by
    )
