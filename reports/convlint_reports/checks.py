"""What became of every rule on a model, and the places it left alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from convlint.contract import Check, ModelReport, Refused, RuleInfo
from convlint.wire import Diagnostic
from convlint_reports.words import cut, plural

CRASHED = "CL903"
REASONS = 80
NAMES = 6


@dataclass(frozen=True, slots=True)
class Checked:
    """One rule and what became of it."""

    code: str
    name: str
    summary: str
    words: str


@dataclass(frozen=True, slots=True)
class Fold:
    """A folded list of rules; ``css`` tells the lists apart."""

    title: str
    css: str
    count: int
    rules: tuple[Checked, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """One reason for which one rule left places alone."""

    rule: str
    reason: str
    modules: str
    count: int


def folds(model: ModelReport, rules: Mapping[str, RuleInfo]) -> tuple[Fold, ...]:
    """Return the rules that passed, did not apply and failed to run, each list apart."""
    if model.status in ("failed", "skipped"):
        return ()
    checks = {check.code: check for check in model.checks}
    crashes = {name: word for word in model.diagnostics if (name := crashed_rule(word, rules))}
    found = {finding.code for finding in model.findings}
    failed, passed, absent = [], [], []
    for code, rule in rules.items():
        check = checks.get(code, Check(code, places=1))
        if check.crashed or code in crashes:
            word = crashes.get(code)
            failed.append(_checked(rule, word.message if word else "crashed"))
        elif code in found:
            continue
        elif check.places:
            many = plural(check.places, "place") if code in checks else ""
            passed.append(_checked(rule, many and f"looked at {many}"))
        else:
            absent.append(_checked(rule, "the model has no such place"))
    lists = (("Failed to run", "failed", failed), ("Checked and passed", "passed", passed),
             ("Did not apply", "absent", absent))  # fmt: skip
    return tuple(Fold(title, css, len(rows), tuple(rows)) for title, css, rows in lists if rows)


def crashed_rule(word: Diagnostic, rules: Iterable[str]) -> str:
    """Return the code of the rule whose crash a diagnostic tells, "" where it tells none."""
    if word.code != CRASHED:
        return ""
    return next((code for code in rules if word.message.startswith(f"rule {code} ")), "")


def _checked(rule: RuleInfo, words: str) -> Checked:
    return Checked(cut(rule.code, 40), cut(rule.name), cut(rule.summary, 400), words)


def left_alone(refusals: Iterable[Refused]) -> tuple[Left, ...]:
    """Return the refusals, one row a rule and reason, at most REASONS of them."""
    grouped: dict[tuple[str, str, str], dict[str, None]] = {}
    for refused in refusals:
        key = (refused.code, refused.name, refused.reason)
        grouped.setdefault(key, {})[refused.module] = None
    return tuple(_rows(grouped))[:REASONS]


def _rows(grouped: Mapping[tuple[str, str, str], Mapping[str, None]]) -> Iterator[Left]:
    for (code, name, reason), modules in grouped.items():
        names = [cut(module, 80) or "(root)" for module in modules]
        more = f" and {len(names) - NAMES:,} more" if len(names) > NAMES else ""
        listed = ", ".join(names[:NAMES]) + more
        yield Left(f"{cut(code, 40)} {cut(name)}", reason, listed, len(names))
