"""The comment report: one comment on a pull request, to be found by its marker and updated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convlint import contract
from convlint.contract import Budget, Finding, ModelReport, RunReport, Severity
from convlint_reports import numbers, savings
from convlint_reports._markup import cell, code, prose, tag
from convlint_reports.words import cleaned, cut, plural

MARKER = "<!-- convlint -->"
FINDINGS, MODELS, FOLDED, LIMIT = 5, 50, 200, 60_000
_ROWS = (
    ("macs", "MACs", numbers.macs),
    ("params", "params", numbers.si),
    ("param_bytes", "weights", numbers.size),
    ("peak_activation_bytes", "peak activations", numbers.size),
)


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the comment: the verdict, the models that changed, what is new, the rest folded.

    It begins with a hidden marker, so that the next one takes the place of the last.
    """
    safe = cleaned(run)
    for most in (MODELS, 20, 5, 1):
        text = "\n".join(_lines(safe, view.prefix, most)) + "\n"
        if len(text) < LIMIT:
            break
    return text


def _lines(run: RunReport, prefix: str, most: int) -> Iterator[str]:
    yield MARKER
    yield f"### convlint: {verdict(run)}"
    loud = [model for model in run.models if _is_told(model, run)]
    quiet = [model for model in run.models if not _is_told(model, run)]
    if loud:
        yield from ("", "| model | value | limit |", "|---|---|---|")
        for model in loud[:most]:
            yield from _rows(model, run)
        if len(loud) > most:
            yield f"| and {plural(len(loud) - most, 'more model')} | | |"
    yield from _failures(run, most)
    yield from _findings(run, prefix)
    yield from _folded(quiet)


def verdict(run: RunReport) -> str:
    """Return what the run comes to: "1 new warning, MACs +2.1 %"."""
    failed = [model for model in run.models if model.status == "failed"]
    if failed:
        return f"{plural(len(failed), 'model')} could not be checked"
    new = [f for model in run.models for f in savings.live(model.findings)]
    counts = [
        (plural(sum(f.severity is level for f in new), f"new {word}"))
        for level, word in ((Severity.ERROR, "error"), (Severity.WARNING, "warning"))
        if any(f.severity is level for f in new)
    ]
    infos = sum(f.severity is Severity.INFO for f in new)
    counts += [f"{infos} new info"] if infos else []
    then = sum(model.base.macs for model in run.models if model.base)
    now = sum(model.totals.macs for model in run.models if model.base)
    change = f", MACs {numbers.change(then, now)}" if then and then != now else ""
    return (", ".join(counts) or "nothing new") + change


def _is_told(model: ModelReport, run: RunReport) -> bool:
    """Say whether a model has a row: it changed, breaks a limit, is new, or has new findings."""
    if model.status == "failed" or savings.live(model.findings):
        return True
    if any(budget.over > 0 for budget in model.budgets):
        return True
    return bool(run.base) and (model.base is None or model.base != model.totals)


def _rows(model: ModelReport, run: RunReport) -> Iterator[str]:
    if model.status == "failed":
        yield f"| {_name(model)} | could not be checked | |"
        return
    name = _name(model)
    for key, title, words in _ROWS:
        value = getattr(model.totals, key)
        then = getattr(model.base, key) if model.base is not None else None
        limits = [budget for budget in model.budgets if budget.quantity == key]
        if key != "macs" and not limits and (then is None or then == value):
            continue
        change = f" ({_change(then, value)})" if run.base else ""
        yield f"| {name} {title} | {words(value)}{change} | {_limits(limits)} |"


def _name(model: ModelReport) -> str:
    """Return the target for a table cell; a backslash would take the escape from the pipe."""
    return cell(cut(model.target, 120).replace("\\|", "\\ |"))


def _change(then: int | None, now: int) -> str:
    return "new" if then is None else numbers.change(then, now)


def _limits(limits: Sequence[Budget]) -> str:
    parts = []
    for budget in limits:
        sign = "+" if budget.base is not None else ""
        text = prose(f"{sign}{budget.limit}")
        parts.append(f"**over {text}**" if budget.over > 0 else text)
    return ", ".join(parts)


def _failures(run: RunReport, most: int) -> Iterator[str]:
    words = [
        f"- {code(cut(model.target, 120))}: {prose(cut(word.message, 300))}"
        for model in run.models
        for word in model.diagnostics
        if word.severity == "error"
    ]
    if words:
        yield ""
        yield from words[:most]


def _findings(run: RunReport, prefix: str) -> Iterator[str]:
    found = [(m, f) for m in run.models for f in savings.live(m.findings)]
    found.sort(key=lambda pair: (-pair[1].severity.rank, -pair[1].saving.macs))
    if not found:
        return
    yield ""
    for model, finding in found[:FINDINGS]:
        yield f"- {_finding(model, finding, prefix)}"
    if len(found) > FINDINGS:
        yield f"- and {plural(len(found) - FINDINGS, 'more finding')}"


def _finding(model: ModelReport, finding: Finding, prefix: str) -> str:
    at = finding.location
    place = f"{prefix}{at.path}:{at.line}" if at else model.target
    gain = savings.main(finding.saving)
    saves = f", saves {gain}" if gain else ""
    rule = f"**{finding.code} {prose(finding.name)}**"
    return f"{rule} {code(cut(place))}{saves}: {prose(cut(finding.message, 300))}"


def _folded(models: Sequence[ModelReport]) -> Iterator[str]:
    if not models:
        return
    yield from ("", "<details><summary>")
    yield f"{tag(plural(len(models), 'model'))} unchanged</summary>"
    yield ""
    for model in models[:FOLDED]:
        yield f"- {code(cut(model.target, 120))} {numbers.macs(model.totals.macs)}"
    if len(models) > FOLDED:
        yield f"- and {len(models) - FOLDED} more"
    yield from ("", "</details>")


REPORT = contract.ReportFormat("comment", "a comment on a pull request", render)
