"""Finds rules and reports through entry points, as anybody's plugin, and refuses malformed ones.

An entry point in the group ``convlint.rules`` (``convlint.reports``) names a callable that
returns a tuple of :class:`convlint.contract.Rule` (:class:`convlint.contract.ReportFormat`).
The rules that ship with convlint come in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata
from typing import Any

from convlint.contract import Options, ReportFormat, Rule
from convlint.errors import PluginError

RULE_GROUP = "convlint.rules"
REPORT_GROUP = "convlint.reports"

HEADINGS = (
    "What it does",
    "Why it costs",
    "Example",
    "Use instead",
    "Savings",
    "When not to apply",
    "Already done by",
    "Options",
    "References",
)

_CODE = re.compile(r"[A-Z]{2,6}[0-9]{3,4}")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def load_rules() -> tuple[Rule, ...]:
    """Return every installed rule, sorted by code.

    Raises PluginError where there is none, where one is malformed or where two share a code
    or a name.
    """
    found = [(where, check_rule(where, rule)) for where, rule in _load(RULE_GROUP)]
    _require_unique("code", [(where, rule.meta.code) for where, rule in found])
    _require_unique("name", [(where, rule.meta.name) for where, rule in found])
    return tuple(sorted((rule for _, rule in found), key=lambda rule: rule.meta.code))


def load_reports() -> tuple[ReportFormat, ...]:
    """Return every installed report format, sorted by name; raise PluginError as for rules."""
    found = [(where, _check_report(where, report)) for where, report in _load(REPORT_GROUP)]
    _require_unique("name", [(where, report.name) for where, report in found])
    return tuple(sorted((report for _, report in found), key=lambda report: report.name))


def _load(group: str) -> list[tuple[str, Any]]:
    """Return (who, value) for every value of every entry point of the group."""
    points = sorted(set(metadata.entry_points(group=group)), key=lambda p: (p.name, p.value))
    found = [(who, value) for point in points for who in (_who(point),) for value in _call(point)]
    if not found:
        raise PluginError(
            f"no plugin provides {group}",
            where="convlint",
            fix="reinstall convlint: its own rules and reports are missing",
        )
    return found


def _who(point: metadata.EntryPoint) -> str:
    distribution = point.dist.name if point.dist is not None else "unknown distribution"
    return f"{distribution} ({point.value})"


def _call(point: metadata.EntryPoint) -> tuple[Any, ...]:
    try:
        factory: Callable[[], object] = point.load()
        values = factory()
    except PluginError:
        raise
    except Exception as error:
        what = f"cannot be loaded: {type(error).__name__}: {error}"
        raise PluginError(what, where=_who(point), fix="uninstall or mend it") from error
    if not isinstance(values, tuple):
        raise PluginError(f"returns {type(values).__name__}, not a tuple", where=_who(point))
    return values


def check_rule(where: str, rule: object) -> Rule:
    """Return ``rule``; raise PluginError with every fault of its form. ``where`` is who made it."""
    if not isinstance(rule, Rule):
        raise PluginError(f"provides {type(rule).__name__}, not a contract.Rule", where=where)
    meta = rule.meta
    faults = []
    if not _CODE.fullmatch(meta.code):
        faults.append(f"its code {meta.code!r} is not letters and a number, like CL301")
    if not _NAME.fullmatch(meta.name):
        faults.append(f"its name {meta.name!r} is not lower-case words joined by '-'")
    lines = {line.strip().strip("#:").strip() for line in rule.doc.splitlines()}
    missing = [heading for heading in HEADINGS if heading not in lines]
    if missing:
        faults.append(f"its docstring lacks the headings {', '.join(missing)}")
    if not issubclass(rule.options, Options):
        faults.append("its options are not a subclass of contract.Options")
    if faults:
        folder = f", folder {rule.folder}" if rule.folder else ""
        raise PluginError("; ".join(faults), where=f"{where}, rule {meta.code}{folder}")
    return rule


def _check_report(where: str, report: object) -> ReportFormat:
    if not isinstance(report, ReportFormat):
        what = f"provides {type(report).__name__}, not a contract.ReportFormat"
        raise PluginError(what, where=where)
    if not _NAME.fullmatch(report.name):
        raise PluginError(f"its name {report.name!r} is not lower-case words", where=where)
    return report


def _require_unique(what: str, found: list[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for where, value in found:
        if value in seen:
            raise PluginError(
                f"the {what} {value} is taken by {seen[value]}",
                where=where,
                fix="rename one or uninstall one of the two",
            )
        seen[value] = where
