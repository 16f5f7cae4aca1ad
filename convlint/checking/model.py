"""check_model: the steps from a Reply to a ModelReport, in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from convlint.analysis.folding import fold
from convlint.analysis.unread import ending
from convlint.checking.findings import findings_of
from convlint.checking.layers import layers
from convlint.checking.rewriting import Step as RewriteStep
from convlint.checking.rewriting import at_the_end, rewrite_exactly, rewrite_once
from convlint.checking.run import ActiveRule, RuleRun, crash, run_rules
from convlint.checking.savings import totals
from convlint.checking.sizes import Sizes
from convlint.contract import After, Check, Context, Finding, ModelReport, Step, place_of
from convlint.cost import count
from convlint.errors import GraphError
from convlint.ir import nodes as ir
from convlint.ir.codec import open_document
from convlint.ir.graph import ModelGraph
from convlint.profiles import GENERIC, Target
from convlint.wire import Diagnostic, Reply


def check_model(
    reply: Reply, active: tuple[ActiveRule, ...], *, profile: Target = GENERIC
) -> ModelReport:
    """Return what the rules say about the model that ``reply`` holds.

    A model that could not be read gives a report with status ``failed`` and a CL902; a rule
    that raises leaves a CL903 and the other rules' findings stay. Code frames are not filled.
    """
    return check_at_each((reply,), active, profile=profile)[0]


def check_at_each(
    replies: Sequence[Reply], active: tuple[ActiveRule, ...], *, profile: Target = GENERIC
) -> tuple[ModelReport, ...]:
    """Return what the rules say about one model at each of the inputs declared for it.

    Findings of rules that are exact only at the traced size are those that hold at all of them.
    """
    opened = [_opened(reply, profile) for reply in replies]
    unread = tuple(one.target for one in opened if isinstance(one, ModelReport))
    sizes = Sizes(tuple(one for one in opened if isinstance(one, Context)), unread)
    read = [r for r, one in zip(replies, opened, strict=True) if isinstance(one, Context)]
    made = iter(_check(read, sizes, active))
    return tuple(next(made) if isinstance(one, Context) else one for one in opened)


def _opened(reply: Reply, profile: Target) -> Context | ModelReport:
    """Return what the rules may look at, or the report where there is nothing to look at."""
    if reply.graph is None:
        return _unread(reply, _failure(reply))
    try:
        graph = open_document(reply.graph)
    except GraphError as error:
        message = f"the trace of the model is broken: {error.format()}"
        return _unread(reply, (Diagnostic("CL902", message, "error"),), status="failed")
    inferred = any(given.origin == "inferred" for given in reply.inputs)
    return Context(graph, count(graph), profile, inferred)


def _check(
    replies: Sequence[Reply], sizes: Sizes, active: tuple[ActiveRule, ...]
) -> Iterator[ModelReport]:
    runs = run_rules(sizes, active)
    ends = _after(sizes, runs, active)
    for each in zip(replies, sizes.contexts, runs, ends, strict=True):
        yield _report(*each)


def _report(
    reply: Reply, context: Context, runs: tuple[RuleRun, ...], end: tuple[After, list[RewriteStep]]
) -> ModelReport:
    findings, crashes = _word(reply, context, runs)
    after, made = end
    unknown = _unknown_ops(context.graph)
    partial = reply.status == "complete" and bool(unknown)
    returned = ending(context.graph)
    return ModelReport(
        target=reply.target,
        status="partial" if partial else reply.status,
        inputs=reply.inputs,
        totals=totals(context.cost),
        after=after,
        layers=layers(context.graph, context.cost),
        findings=findings,
        diagnostics=(
            *reply.diagnostics,
            *_failure(reply),
            *unknown,
            *_nothing_to_check(context),
            *crashes,
        ),
        refusals=tuple(refusal for run in runs for refusal in (*run.refusals, *run.sized)),
        expression=reply.expression,
        checks=_checks(runs, crashes),
        steps=tuple(_told(step) for step in made),
        outputs=returned.kept,
        unread_outputs=returned.others,
    )


def _told(step: RewriteStep) -> Step:
    meta = step.rule.rule.meta
    nodes = [step.before[key] for each in step.made for key in each.site.nodes]
    modules = tuple(dict.fromkeys(node.module for node in nodes if node.params or len(nodes) == 1))
    modules = modules or tuple(dict.fromkeys(node.module for node in nodes))
    places = [place for each in step.made if (place := place_of(each.site)) is not None]
    modules = tuple(path for place in places for path in place.modules) or modules
    return Step(meta.code, meta.name, modules, totals(step.context.cost), fold(modules))


def _checks(runs: tuple[RuleRun, ...], crashes: tuple[Diagnostic, ...]) -> tuple[Check, ...]:
    """Return what became of each rule; one may also crash while it words its findings."""
    words = [each.message for each in crashes]
    checks = []
    for run in runs:
        code = run.active.rule.meta.code
        crashed = any(text.startswith(f"rule {code} ") for text in words)
        checks.append(Check(code, run.places, crashed))
    return tuple(checks)


def _unread(
    reply: Reply, diagnostics: tuple[Diagnostic, ...], status: str | None = None
) -> ModelReport:
    return ModelReport(
        target=reply.target,
        status=status or reply.status,
        inputs=reply.inputs,
        diagnostics=(*reply.diagnostics, *diagnostics),
        expression=reply.expression,
    )


def _failure(reply: Reply) -> tuple[Diagnostic, ...]:
    """Return why the model, or the rest of it, could not be read."""
    failure = reply.failure
    if failure is None:
        return ()
    message = f"{failure.message}; {failure.fix}" if failure.fix else failure.message
    severity: Literal["error", "warning", "info"] = "warning"
    if reply.status in ("failed", "skipped"):
        severity = "error" if reply.status == "failed" else "info"
    return (Diagnostic("CL902", message, severity, failure.location),)


def _word(
    reply: Reply, context: Context, runs: tuple[RuleRun, ...]
) -> tuple[tuple[Finding, ...], tuple[Diagnostic, ...]]:
    """Return the findings, dearest first, and a CL903 for each rule that crashed."""
    identity = reply.expression or reply.class_name or reply.target.rpartition(":")[2]
    findings: list[Finding] = []
    crashes = []
    for run in runs:
        if run.crash is not None:
            crashes.append(run.crash)
            continue
        try:
            findings += findings_of(run, context, identity)
        except Exception as error:
            crashes.append(crash(run.active.rule, error))
    return tuple(sorted(findings, key=_dearest_first)), tuple(crashes)


def _dearest_first(finding: Finding) -> tuple[int, int, str, str, int]:
    span = finding.location
    path, line = (span.path, span.line) if span is not None else ("", 0)
    return (-finding.saving.macs, -finding.saving.params, finding.code, path, line)


def _after(
    sizes: Sizes, runs: tuple[tuple[RuleRun, ...], ...], active: tuple[ActiveRule, ...]
) -> list[tuple[After, list[RewriteStep]]]:
    """Return for each size the totals after all exact rewrites and after all, and the exact steps."""
    found = tuple(
        frozenset(run.active.rule.meta.code for run in each if run.proposals) for each in runs
    )
    exact = list(rewrite_exactly(sizes, active, found=found))
    then = at_the_end(sizes, exact)
    last = at_the_end(then, list(rewrite_once(then, active, found)))
    return [
        (
            After(exact=totals(then.contexts[place].cost), all=totals(last.contexts[place].cost)),
            [step for steps in exact if (step := steps[place]) is not None],
        )
        for place in range(len(sizes.contexts))
    ]


def _unknown_ops(graph: ModelGraph) -> tuple[Diagnostic, ...]:
    """Name each operation that is not described and may hold MACs, with its first line."""
    found: dict[str, list[ir.Node]] = {}
    for node in graph:
        if isinstance(node.op, ir.Opaque) and node.op.may_hold_macs:
            found.setdefault(node.op.target, []).append(node)
    return tuple(
        Diagnostic(
            code="CL905",
            message=f"{target} is not counted (called {_times(len(members))}): "
            "the totals miss its MACs",
            severity="warning",
            location=members[0].called_at or members[0].built_at,
        )
        for target, members in found.items()
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _nothing_to_check(context: Context) -> tuple[Diagnostic, ...]:
    has_conv = any(isinstance(node.op, ir.Conv) for node in context.graph)
    if has_conv and context.cost.params:
        return ()
    lacks = "parameters" if has_conv else "convolutions"
    if not has_conv and not context.cost.params:
        lacks = "convolutions and no parameters"
    message = f"the model has no {lacks}: most rules have nothing to look at"
    return (Diagnostic("CL904", message, "info"),)
