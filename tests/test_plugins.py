"""Rules and reports come in through entry points; none, doubles and malformed ones are refused."""

from __future__ import annotations

import importlib
import shutil
import sys
from dataclasses import replace
from importlib import metadata

import convlint_rules
import pytest

from convlint import plugins
from convlint.contract import ReportFormat, Rule
from convlint.errors import PluginError


class Point:
    """An entry point that returns what it is given."""

    def __init__(self, values, name="p"):
        self.name, self.value, self._values = name, f"{name}:rules", values
        self.dist = type("Dist", (), {"name": f"{name}-dist"})()

    def load(self):
        if isinstance(self._values, Exception):
            raise self._values
        return lambda: self._values


def _provide(monkeypatch, *points):
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)


def _rule(**facts) -> Rule:
    shipped = convlint_rules.rules()[0]
    return replace(shipped, meta=replace(shipped.meta, **facts))


def test_shipped_rules_and_reports_are_found_sorted():
    """The installed distribution brings its rules through the entry point, sorted by code."""
    codes = [rule.meta.code for rule in plugins.load_rules()]
    assert {"CL101", "CL201", "CL301"} <= set(codes)
    assert codes == sorted(codes)
    names = [report.name for report in plugins.load_reports()]
    assert names == sorted(names)
    assert names


def test_none_found_is_refused(monkeypatch):
    """An installation without rules says so instead of finding nothing."""
    _provide(monkeypatch)
    with pytest.raises(PluginError, match=r"no plugin provides convlint\.rules"):
        plugins.load_rules()
    with pytest.raises(PluginError, match=r"no plugin provides convlint\.reports"):
        plugins.load_reports()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (_rule(code="cl1"), "its code 'cl1'"),
        (_rule(name="Large Kernel"), "its name 'Large Kernel'"),
        (replace(_rule(), doc="What it does\n"), "lacks the headings Why it costs, Example"),
        ("no rule", "provides str, not a contract.Rule"),
    ],
)
def test_malformed_rule_is_refused_with_its_distribution(monkeypatch, rule, words):
    """The message names what is wrong and who brought it."""
    _provide(monkeypatch, Point((rule,), "acme"))
    with pytest.raises(PluginError) as error:
        plugins.load_rules()
    assert words in error.value.format()
    assert "acme-dist" in error.value.format()


@pytest.mark.parametrize(
    ("facts", "what"), [({"name": "other"}, "code"), ({"code": "XY100"}, "name")]
)
def test_two_rules_of_one_code_or_name_are_refused(monkeypatch, facts, what):
    """Both distributions are named."""
    _provide(monkeypatch, Point((_rule(),), "one"), Point((_rule(**facts),), "two"))
    with pytest.raises(PluginError) as error:
        plugins.load_rules()
    assert f"the {what} " in error.value.format()
    assert "one-dist" in error.value.format()
    assert "two-dist" in error.value.format()


def test_plugin_that_cannot_be_imported_is_named(monkeypatch):
    """The exception's type and text are in the message."""
    _provide(monkeypatch, Point(ImportError("no module acme"), "acme"))
    with pytest.raises(PluginError, match="ImportError: no module acme"):
        plugins.load_rules()


def test_plugin_that_returns_no_tuple_is_refused(monkeypatch):
    """A list would be taken for a mistake sooner or later: it is refused at once."""
    _provide(monkeypatch, Point([_rule()], "acme"))
    with pytest.raises(PluginError, match="returns list, not a tuple"):
        plugins.load_rules()


def test_malformed_report_is_refused(monkeypatch):
    """A report is a contract.ReportFormat with a name to type."""
    _provide(monkeypatch, Point((ReportFormat("No Name", "s", lambda _run, _view: ""),)))
    with pytest.raises(PluginError, match="its name 'No Name'"):
        plugins.load_reports()
    _provide(monkeypatch, Point((1,)))
    with pytest.raises(PluginError, match=r"not a contract\.ReportFormat"):
        plugins.load_reports()


def test_a_new_folder_is_a_new_rule(tmp_path, monkeypatch):
    """A folder with a rule.py is found with no other file touched."""
    package = tmp_path / "convlint_rules"
    folder = package / "brand_new"
    folder.mkdir(parents=True)
    shutil.copy(convlint_rules.__file__, package)
    (folder / "rule.py").write_text(
        "from convlint.contract import Rule, RuleMeta, Severity\n"
        "meta = RuleMeta('CL999', 'brand-new', 's', Severity.INFO, False, '0')\n"
        "RULE = Rule(meta, None, None, None, None, '', '')\n"
    )
    for name in [n for n in sys.modules if n.split(".")[0] == "convlint_rules"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    fresh = importlib.import_module("convlint_rules")
    assert [rule.meta.code for rule in fresh.rules()] == ["CL999"]
    for name in [n for n in sys.modules if n.split(".")[0] == "convlint_rules"]:
        monkeypatch.delitem(sys.modules, name)
