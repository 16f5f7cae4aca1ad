"""The JUnit report: a test suite a file, a failing case a finding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from convlint import contract
from convlint.contract import Finding, ModelReport
from convlint_reports import savings
from convlint_reports.annotations import files, summary
from convlint_reports.words import cleaned, cut

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(run: contract.RunReport, view: contract.View) -> str:
    """Return the XML: failures are findings that count, errors what could not be checked.

    What is suppressed or known is skipped; a model without any of these is a passing case.
    """
    root = ET.Element("testsuites", name="convlint")
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for path, models in files(cleaned(run), view.prefix).items():
        suite = ET.SubElement(root, "testsuite", name=_text(path))
        for model in models:
            suite.extend(_cases(model))
        for key, count in _counts(suite).items():
            suite.set(key, str(count))
            totals[key] += count
    for key, count in totals.items():
        root.set(key, str(count))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _counts(suite: ET.Element) -> dict[str, int]:
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counted = {key: len(suite.findall(f"./testcase/{tag}")) for key, tag in kinds.items()}
    return {"tests": len(suite.findall("testcase")), **counted}


def _cases(model: ModelReport) -> Iterator[ET.Element]:
    failures = [word for word in model.diagnostics if word.severity == "error"]
    for word in failures:
        case = _case(model, f"{word.code} not checked")
        _child(case, "error", word.code, word.message, word.message)
        yield case
    live, silent = savings.live(model.findings), savings.silent(model.findings)
    for finding in live:
        case = _case(model, _name(finding))
        message = f"{finding.code} {finding.name}: {summary(finding) or finding.message}"
        _child(case, "failure", finding.severity.value, message, _body(finding))
        yield case
    for finding in silent:
        case = _case(model, _name(finding))
        reason = finding.suppressed or "known: it is in the baseline or in the base"
        ET.SubElement(case, "skipped", message=_text(reason))
        yield case
    if not failures and not live and not silent:
        yield _case(model, "convlint")


def _case(model: ModelReport, name: str) -> ET.Element:
    return ET.Element("testcase", name=_text(name), classname=_text(model.target))


def _child(case: ET.Element, tag: str, kind: str, message: str, body: str) -> None:
    line = cut(" ".join(message.split()), 300)
    ET.SubElement(case, tag, type=_text(kind), message=_text(line)).text = _text(body)


def _name(finding: Finding) -> str:
    at = f" at line {finding.location.line}" if finding.location else ""
    return f"{finding.code} {finding.name}{at}"


def _body(finding: Finding) -> str:
    at = finding.location
    place = f"{at.path}:{at.line}:{at.column}: " if at else ""
    parts = [f"{place}{finding.code} {finding.name}", finding.message, summary(finding)]
    parts += [f"write {finding.instead}" if finding.instead else "", finding.risk]
    return "\n".join(part for part in parts if part)


def _text(text: str) -> str:
    """Return the text without the characters that XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)


REPORT = contract.ReportFormat("junit", "test results in JUnit's XML, for CI servers", render)
