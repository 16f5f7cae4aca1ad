"""The order of the steps of ``convlint apply`` and ``convlint measure``, on one screen.

target -> Request -> Work -> a child with torch -> WorkReply
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from convlint import checking, discover, errors, gate, wire
from convlint.sandbox import Limits
from convlint.sandbox.task import Child, perform
from convlint.settings import Settings
from convlint.settings.python import interpreter
from convlint.work import Files, RuleSpec, Timing, Work, WorkReply


@dataclass(frozen=True, slots=True)
class Task:
    """Models to work on; ``rules`` empty means all exact rules that are on, ``plain`` none."""

    targets: tuple[str, ...]
    model: str = ""
    inputs: tuple[wire.InputSpec, ...] = ()
    outputs: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    weights: str | None = None
    files: Files = field(default_factory=Files)
    timing: Timing | None = None
    python: str | None = None
    limits: Limits = field(default_factory=Limits)
    plain: bool = False


def work(task: Task, settings: Settings) -> WorkReply:
    """Return what came of the task; raise ConvlintError where it cannot be started."""
    found = tuple(_requests(task, settings, target) for target in task.targets)
    requests = tuple(first for first, *_ in found)
    active = _rules(task, settings)
    job = Work(
        requests=requests,
        others=found[0][1:] if len(found) == 1 else (),
        rules=tuple(_spec(one) for one in active),
        profile=settings.profile,
        weights=task.weights,
        files=task.files,
        timing=task.timing,
    )
    threads = task.timing.threads if task.timing is not None else 1
    packages = tuple(dict.fromkeys(spec.module.partition(".")[0] for spec in job.rules))
    child = Child(interpreter(Path(requests[0].root), task.python), threads, packages)
    return perform(job, child, task.limits)


def _requests(task: Task, settings: Settings, target: str) -> tuple[wire.Request, ...]:
    """Return the one model that a target names, at each of the inputs declared for it.

    Raises UsageError where it names several models or none.
    """
    chosen = discover.Filter(settings.exclude, force=True)
    targets = discover.locate((target,), chosen, model=task.model, hook=False)
    found = discover.read(targets, settings.models, task.inputs, outputs=task.outputs)
    failures = [item.what for item in found if isinstance(item.what, wire.Reply)]
    requests = [(item, item.what) for item in found if isinstance(item.what, wire.Request)]
    if not requests and failures and failures[0].failure is not None:
        failure = failures[0].failure
        raise errors.ModelError(failure.message, where=target, fix=failure.fix)
    models = list(discover.by_model(requests))
    if len(models) != 1:
        names = ", ".join(model[0][1].target for model in models) or "none"
        what = f"one model is needed, and {len(models)} are there ({names})"
        raise errors.UsageError(what, where=target, fix="name one: file.py:EXPR")
    return tuple(request for _, request in models[0])


def _rules(task: Task, settings: Settings) -> tuple[checking.ActiveRule, ...]:
    known = gate.known_rules()
    if task.plain:
        return ()
    if task.rules:
        chosen = replace(settings, select=task.rules, extend_select=(), ignore=())
        return gate.graph_rules(gate.active_rules(known, chosen))
    return tuple(one for one in gate.active_rules(known, settings) if one.rule.meta.exact)


def _spec(one: checking.ActiveRule) -> RuleSpec:
    options = msgspec.to_builtins(one.options)
    return RuleSpec(one.rule.find.__module__, options)
