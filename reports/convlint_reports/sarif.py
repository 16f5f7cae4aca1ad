"""The SARIF report: results for code scanning, as SARIF 2.1.0.

Within the limits of GitHub's code scanning: a result points at one line, the first of the
constructor call, since an alert shows on a pull request only where all its lines are changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from convlint import contract
from convlint.contract import RuleInfo, RunReport, Severity
from convlint_reports.annotations import Note, file_of, notes
from convlint_reports.words import cleaned, cut

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RESULTS, RELATED, TEXT = 5000, 100, 1000
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_WEIGHTS = {"error": "error", "warning": "warning", "note": "recommendation"}


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the log with one run: every rule that was on, and a result a finding that counts."""
    run = cleaned(run)
    told = [note for note in notes(run, view.prefix) if note.finding is not None]
    rules = _rules(run, told)
    index = {rule["id"]: place for place, rule in enumerate(rules)}
    results = [_result(note, index, view.prefix) for note in told[:RESULTS]]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(run, rules)},
                "automationDetails": {"id": "convlint/"},
                "columnKind": "unicodeCodePoints",
                "invocations": [_invocation(run, view.prefix)],
                "results": results,
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode() + "\n"


def _driver(run: RunReport, rules: list[dict[str, Any]]) -> dict[str, Any]:
    version = cut(run.tool.version)
    return {"name": "convlint", "version": version, "semanticVersion": version, "rules": rules}


def _rules(run: RunReport, told: list[Note]) -> list[dict[str, Any]]:
    """Return the rules that were on, and any that a finding names besides."""
    found = {rule.code: _rule(rule) for rule in run.rules}
    for note in told:
        info = RuleInfo(note.code, note.name, note.title, note.finding is None, severity=note.level)
        found.setdefault(note.code, _rule(info))
    return [found[code] for code in sorted(found)]


def _rule(rule: RuleInfo) -> dict[str, Any]:
    level = _LEVELS[rule.severity]
    tag, kind = _kind(rule)
    summary = cut(" ".join(rule.summary.split()), TEXT) or rule.code
    page = f"convlint rule {rule.code} shows what it finds, why, and what to write instead."
    return {
        "id": rule.code,
        "name": cut(rule.name, 255) or rule.code,
        "shortDescription": {"text": summary},
        "fullDescription": {"text": cut(f"{summary}. {kind}", TEXT)},
        "help": {"text": f"{summary}. {kind} {page}"},
        "defaultConfiguration": {"level": level},
        "properties": {
            "precision": "very-high" if rule.exact else "high",
            "problem.severity": _WEIGHTS[level],
            "tags": ["performance", "pytorch", tag],
        },
    }


def _kind(rule: RuleInfo) -> tuple[str, str]:
    if rule.code.startswith("CL7"):
        return "limit", "It compares a model with a limit of the configuration."
    if rule.exact:
        return "exact", "Its rewrite is exact."
    return "retrain", "Its rewrite needs retraining."


def _result(note: Note, index: dict[str, int], prefix: str) -> dict[str, Any]:
    finding = note.finding
    assert finding is not None
    related = [
        {
            "id": number,
            "message": {"text": cut(other.message, TEXT)},
            "physicalLocation": _physical(prefix + other.path, {"startLine": max(other.line, 1)}),
        }
        for number, other in enumerate(finding.related[:RELATED], 1)
    ]
    return {
        "ruleId": note.code,
        "ruleIndex": index[note.code],
        "level": _LEVELS[note.level],
        "message": {"text": _message(note)},
        "locations": [
            {
                "physicalLocation": _physical(note.path, _region(note)),
                "logicalLocations": [
                    {"fullyQualifiedName": cut(name) or "(root)", "kind": "member"}
                    for name in finding.modules[:RELATED]
                ],
            }
        ],
        "relatedLocations": related,
        "partialFingerprints": {"convlint/v1": finding.fingerprint or note.code},
    }


def _message(note: Note) -> str:
    """Return the message; what SARIF would read as a link or a placeholder stands escaped."""
    text = f"{note.title}: {note.text}"
    for char in "\\[]":
        text = text.replace(char, f"\\{char}")
    return text.replace("{", "{{").replace("}", "}}")


def _region(note: Note) -> dict[str, int]:
    region = {"startLine": max(note.at.line, 1), "startColumn": max(note.at.column, 1)}
    if note.one_line and note.at.end_column > note.at.column:
        region["endColumn"] = note.at.end_column
    return {**region, "endLine": region["startLine"]}


def _physical(path: str, region: dict[str, int]) -> dict[str, Any]:
    uri = quote(path.removeprefix("./"), safe="/", errors="replace")
    return {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}


def _invocation(run: RunReport, prefix: str) -> dict[str, Any]:
    return {
        "executionSuccessful": run.summary.exit_code != 2,
        "exitCode": run.summary.exit_code,
        "toolExecutionNotifications": list(_notifications(run, prefix)),
    }


def _notifications(run: RunReport, prefix: str) -> Iterator[dict[str, Any]]:
    for model in run.models:
        for word in model.diagnostics:
            if word.severity == "info":
                continue
            path = word.location.path if word.location else file_of(model.target)
            line = word.location.line if word.location else 1
            yield {
                "descriptor": {"id": word.code},
                "level": "error" if word.severity == "error" else "warning",
                "message": {"text": cut(f"{model.target}: {word.message}", TEXT)},
                "locations": [
                    {"physicalLocation": _physical(prefix + path, {"startLine": max(line, 1)})}
                ],
            }


REPORT = contract.ReportFormat("sarif", "results for code scanning, SARIF 2.1.0", render)
