"""The JUnit report, read by a parser that CI servers' users have."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from convlint_reports.junit import REPORT

from convlint.contract import RunReport, View
from tests.reports import machines, sample

junitparser = pytest.importorskip("junitparser")


def suites(run: RunReport, prefix: str = "") -> list[Any]:
    """Return the suites, their counts checked against the cases."""
    xml = junitparser.JUnitXml.fromstring(REPORT.render(run, View(prefix=prefix)).encode())
    found = list(xml)
    for suite in found:
        cases = list(suite)
        kinds = [type(result).__name__ for case in cases for result in case.result]
        assert suite.tests == len(cases)
        assert suite.failures == kinds.count("Failure")
        assert suite.errors == kinds.count("Error")
        assert suite.skipped == kinds.count("Skipped")
    assert xml.tests == sum(suite.tests for suite in found)
    return found


def test_a_suite_a_file_and_a_failing_case_a_finding() -> None:
    """Three findings fail, the suppressed one is skipped, the clean model passes."""
    resnet, clean = suites(sample.run(sample.resnet(), sample.clean()), "app/")
    assert (resnet.name, resnet.failures, resnet.skipped) == ("app/nets/resnet.py", 3, 1)
    assert (clean.tests, clean.failures, clean.skipped) == (1, 0, 0)
    case = next(iter(resnet))
    assert case.name == "CL301 dense-conv at line 86"
    assert case.classname == "nets/resnet.py:ResNet50"
    assert case.result[0].message.startswith("CL301 dense-conv: layer*.*.conv2 x16: saves 1.63")
    assert "groups=width" in case.result[0].text


def test_a_failed_model_is_an_error() -> None:
    """What could not be checked never passes."""
    (suite,) = suites(sample.run(sample.failed()))
    assert suite.errors >= 1


def test_known_findings_are_skipped_with_the_reason() -> None:
    """Nothing fails, and the reasons are told."""
    (suite,) = suites(machines.quiet())
    reasons = sorted(case.result[0].message for case in suite)
    assert (suite.failures, suite.skipped) == (0, 2)
    assert reasons[0].startswith("known") and reasons[1] == "measured"


def test_any_name_stays_well_formed() -> None:
    """Names with markup, ]]>, control and four-byte characters are text."""
    found = suites(machines.run())
    assert sum(suite.failures for suite in found) == len(machines.NAMES)
    root = ET.fromstring(REPORT.render(machines.run(), View()))
    assert {each.tag for each in root.iter()} == {
        *("testsuites", "testsuite", "testcase", "failure", "error", "skipped")
    }
