"""The GitLab report: the keys that GitLab reads, each finding with a fingerprint of its own."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from convlint_reports.gitlab import REPORT

from convlint.contract import RunReport, View
from tests.reports import machines, sample

KEYS = {"description", "check_name", "fingerprint", "severity", "location"}
SEVERITIES = {"info", "minor", "major", "critical", "blocker"}


def issues(run: RunReport, prefix: str = "") -> list[dict[str, Any]]:
    """Return the issues, each as GitLab's documentation wants it."""
    text = REPORT.render(run, View(prefix=prefix))
    found: list[dict[str, Any]] = json.loads(text)
    assert not text.startswith("\ufeff")
    for issue in found:
        assert set(issue) == KEYS
        assert issue["severity"] in SEVERITIES
        assert issue["location"]["lines"]["begin"] >= 1
        assert not issue["location"]["path"].startswith(("/", "./"))
        assert "\n" not in issue["description"]
    return found


@pytest.mark.parametrize("run", [machines.run(), machines.many(50)], ids=["hostile", "many"])
def test_every_issue_is_complete_and_unique(run: RunReport) -> None:
    """GitLab drops the second of two issues with one fingerprint: there is none."""
    prints = [issue["fingerprint"] for issue in issues(run)]
    assert len(set(prints)) == len(prints)


def test_equal_findings_stay_two() -> None:
    """Two findings that look the same get two fingerprints."""
    twice = msgspec.structs.replace(sample.resnet(), findings=(sample.DENSE, sample.DENSE))
    assert len({issue["fingerprint"] for issue in issues(sample.run(twice))}) == 2


def test_the_description_names_the_rule() -> None:
    """GitLab does not show check_name, so the text begins with it."""
    first = issues(sample.run(sample.resnet()), "app/")[0]
    assert first["check_name"] == "CL301"
    assert first["description"].startswith("CL301 dense-conv: ")
    assert first["location"] == {"path": "app/nets/resnet.py", "lines": {"begin": 86}}


def test_a_failure_blocks_and_silence_is_an_empty_list() -> None:
    """A model that could not be checked is a blocker; known findings are none."""
    assert issues(sample.run(sample.failed()))[0]["severity"] == "blocker"
    assert issues(machines.quiet()) == []
