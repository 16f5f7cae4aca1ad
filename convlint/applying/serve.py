"""The child's side of ``convlint apply`` and ``convlint measure``: one Work, one WorkReply."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import msgspec
import torch

from convlint import checking
from convlint.applying import files, measuring
from convlint.applying.given import Given, load_given
from convlint.applying.rewrite import Applied, apply
from convlint.checking.run import ActiveRule
from convlint.checking.savings import percent, totals
from convlint.contract import ModelReport, Saving
from convlint.errors import ConvlintError
from convlint.profiles import Target
from convlint.tracing import inline
from convlint.tracing.failures import ReadError
from convlint.wire import Failure
from convlint.work import ChangeTold, RuleSpec, Work, WorkReply, decode_work, encode


def main(folder: str) -> None:
    """Do the work that lies in ``folder`` and put the reply beside it."""
    place = Path(folder)
    work = decode_work((place / "work").read_bytes())
    _limit_memory()
    reply = serve(work)
    part = place / "reply.part"
    part.write_bytes(encode(reply))
    part.replace(place / "reply")


def serve(work: Work) -> WorkReply:
    """Return what came of the work; every failure is in it, none is raised."""
    try:
        return _timed(work) if work.timing is not None else _applied(work)
    except ReadError as error:
        return WorkReply(failure=error.failure)
    except ConvlintError as error:
        return WorkReply(failure=Failure("build-error", error.what, error.fix))
    except MemoryError:
        fix = "raise the limit with --memory"
        return WorkReply(failure=Failure("memory", "out of memory", fix))


def _applied(work: Work) -> WorkReply:
    torch.manual_seed(0)
    given = load_given(work.requests[0], work.weights, work.others)
    files.check(work.files)
    active = active_rules(work.rules)
    report = _report(given, active, work.profile)
    made = apply(given.task(active, work.profile))
    written = files.write(made, given, work.files)
    return WorkReply(
        report=report,
        inputs=given.specs,
        changes=tuple(
            ChangeTold(c.code, c.name, c.modules, c.exact, c.at_size) for c in made.changes
        ),
        refused=made.refused,
        largest_difference=made.largest_difference,
        before=totals(made.before.cost),
        after=totals(made.after.cost),
        saving=_saving(made),
        state_bytes=(files.state_bytes(made.before), files.state_bytes(made.after)),
        written=written,
        notes=(*([made.note] if made.note else ()), *(f"left {text}" for text in made.left)),
        random_weights=work.weights is None,
    )


def _timed(work: Work) -> WorkReply:
    assert work.timing is not None
    torch.manual_seed(0)
    given = [load_given(request, work.weights, work.others) for request in work.requests]
    return measuring.measure(given, active_rules(work.rules), work.timing, work.profile)


def active_rules(specs: tuple[RuleSpec, ...]) -> tuple[ActiveRule, ...]:
    """Return the rules that the parent chose, with its options."""
    found = []
    for spec in specs:
        rule = importlib.import_module(spec.module).RULE
        options = msgspec.convert(spec.options, rule.options)
        found.append(ActiveRule(rule, rule.meta.severity, options))
    return tuple(found)


def _report(given: Given, active: tuple[ActiveRule, ...], profile: Target) -> ModelReport:
    reply = inline.read_instance(
        given.model,
        given.args,
        dict(given.kwargs),
        target=given.target,
        outputs=given.outputs,
    )
    reply = msgspec.structs.replace(reply, inputs=given.specs, expression=given.expression)
    others = [
        msgspec.structs.replace(reply, inputs=other.inputs, graph=other.graph.document())
        for other in given.others
    ]
    return checking.check_at_each((reply, *others), active, profile=profile)[0]


def _saving(made: Applied) -> Saving:
    before, after = made.before.cost, made.after.cost
    return Saving(
        macs=before.macs - after.macs,
        params=before.params - after.params,
        param_bytes=before.param_bytes - after.param_bytes,
        activation_bytes=before.activation_bytes - after.activation_bytes,
        macs_percent=percent(before.macs - after.macs, before.macs),
        params_percent=percent(before.params - after.params, before.params),
        bytes_read=before.bytes_read - after.bytes_read,
        other_ops=before.other_ops - after.other_ops,
        peak_activation_bytes=before.peak_activation_bytes - after.peak_activation_bytes,
    )


def _limit_memory() -> None:
    from convlint.tracing import serve as reading

    reading._limit_memory(int(os.environ.get("CONVLINT_MEMORY", "0")))
