"""Every rule's bad.py fires on its marked lines alone, and its good.py is silent."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

from convlint import profiles
from convlint.checking import ActiveRule, check_model
from convlint.contract import ModelReport, Rule
from convlint.plugins import load_rules
from convlint.settings.limits import parse_bytes
from convlint.tracing.read import read
from convlint.wire import Request

RULES = {rule.meta.code: rule for rule in load_rules()}
PROFILE = re.compile(r"^# profile: (\S+)", re.MULTILINE)
OUTPUTS = re.compile(r"^# outputs: (\S+)", re.MULTILINE)
MARK = re.compile(r"# expect: (CL\d+(?:, CL\d+)*)")


def _roots(file: Path) -> list[str]:
    """Return the classes that can be built without arguments, as the files promise."""
    return [
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef) and not _arguments(node)
    ]


def _profile(file: Path) -> profiles.Target:
    """Return the profile that an example is for, as a comment of its says."""
    named = PROFILE.search(file.read_text())
    target = profiles.load(named[1]) if named else profiles.GENERIC
    ram = re.search(r"^# ram: (\S+)", file.read_text(), re.MULTILINE)
    return msgspec.structs.replace(target, ram=parse_bytes(ram[1], "") if ram else 0)


def _arguments(node: ast.ClassDef) -> list[ast.arg]:
    inits = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
    return inits[0].args.args[1:] if inits else []


def _reports(file: Path, rule: Rule) -> list[ModelReport]:
    active = ActiveRule(rule, rule.meta.severity, rule.options())
    reports, outputs = [], tuple(OUTPUTS.findall(file.read_text()))
    for name in _roots(file):
        target = f"{file.name}:{name}"
        made = (f"{name}()",)
        request = Request(target, str(file.parent), str(file), expressions=made, outputs=outputs)
        report = check_model(read(request), (active,), profile=_profile(file))
        assert report.status == "complete", report.diagnostics
        assert not [d for d in report.diagnostics if d.code == "CL903"], report.diagnostics
        reports.append(report)
    return reports


@pytest.mark.parametrize("code", RULES)
def test_bad_example_fires_on_exactly_the_marked_lines(code):
    """Each line marked "# expect: CODE" carries a finding of that rule, and no other line does."""
    file = Path(RULES[code].folder) / "bad.py"
    lines = enumerate(file.read_text().splitlines(), 1)
    expected = {n for n, line in lines if (m := MARK.search(line)) and code in m[1]}
    found = {
        finding.location.line
        for report in _reports(file, RULES[code])
        for finding in report.findings
    }
    assert expected
    assert found == expected


@pytest.mark.parametrize("code", RULES)
def test_good_example_is_silent(code):
    """Nothing in good.py is found, though the rule runs on every root class of it."""
    reports = _reports(Path(RULES[code].folder) / "good.py", RULES[code])
    assert reports
    assert [finding for report in reports for finding in report.findings] == []


@pytest.mark.parametrize("code", RULES)
def test_words_carry_the_numbers_of_the_layer(code):
    """Message, code to write and risk are there, on one line where one line is promised."""
    for report in _reports(Path(RULES[code].folder) / "bad.py", RULES[code]):
        for finding in report.findings:
            assert re.search(r"\d", finding.message)
            assert "\n" not in finding.message
            assert "nn." in finding.instead
            assert "retrain" in finding.risk or finding.exact
