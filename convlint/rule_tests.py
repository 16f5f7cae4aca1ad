"""Tests that every rule's folder has to pass, run from outside the rule."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from convlint import checking, profiles, wire
from convlint.checking import ActiveRule
from convlint.contract import ModelReport, Rule
from convlint.errors import PluginError, UsageError
from convlint.plugins import check_rule
from convlint.profiles import Target
from convlint.sandbox import Sandbox
from convlint.settings.limits import parse_bytes

_MARK = re.compile(r"# expect: ([A-Z]+\d+(?:, [A-Z]+\d+)*)")
_OUTPUTS = re.compile(r"^# outputs: (\S+)", re.MULTILINE)
_ASKED = re.compile(r"^# (profile|ram): (\S+)", re.MULTILINE)


def try_rule(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield what was tested and whether it holds.

    Raises UsageError where the folder has no rule.py, bad.py or good.py, PluginError where the
    rule is malformed.
    """
    rule = load_rule(folder)
    yield f"{rule.meta.code} {rule.meta.name}: its form", True
    for name in ("bad.py", "good.py"):
        file = folder / name
        reports = _reports(file, rule)
        yield from _read(name, reports)
        expected = _marked(file, rule.meta.code) if name == "bad.py" else set()
        found = {f.location.line for r in reports for f in r.findings if f.location}
        if name == "bad.py":
            yield "bad.py marks a line at least", bool(expected)
        told = f"{name} fires on lines {_lines(expected)}"
        yield told if found == expected else f"{told}, not on {_lines(found)}", found == expected


def load_rule(folder: Path) -> Rule:
    """Return the rule of a folder; raise UsageError or PluginError with what is wrong."""
    for name in ("rule.py", "bad.py", "good.py"):
        if not (folder / name).is_file():
            raise UsageError(f"has no {name}", where=str(folder), fix="convlint new-rule NAME")
    package = f"convlint_tested_{folder.resolve().name}"
    spec = importlib.util.spec_from_file_location(
        f"{package}.rule", folder / "rule.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(folder.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        what = f"rule.py cannot be loaded: {type(error).__name__}: {error}"
        raise PluginError(what, where=str(folder)) from error
    finally:
        sys.path.remove(str(folder.resolve().parent))
    rule = getattr(module, "RULE", None)
    if rule is None:
        raise PluginError("rule.py ends in no RULE = contract.Rule(...)", where=str(folder))
    return replace(check_rule(str(folder), rule), folder=str(folder))


def _reports(file: Path, rule: Rule) -> list[ModelReport]:
    target = _target(file)
    active = (ActiveRule(rule, rule.meta.severity_under(target), rule.options()),)
    outputs = tuple(_OUTPUTS.findall(file.read_text(encoding="utf-8")))
    requests = [
        wire.Request(
            f"{file.name}:{name}",
            str(file.parent),
            file=str(file.resolve()),
            expressions=(f"{name}()",),
            outputs=outputs,
        )
        for name in _classes(file)
    ]
    with Sandbox() as box:
        return [checking.check_model(reply, active, profile=target) for reply in box.run(requests)]


def _target(file: Path) -> Target:
    asked = dict(_ASKED.findall(file.read_text(encoding="utf-8")))
    target = profiles.load(asked.get("profile", "generic"))
    ram = parse_bytes(asked["ram"], "") if "ram" in asked else 0
    return msgspec.structs.replace(target, ram=ram)


def _classes(file: Path) -> list[str]:
    """Return the classes that can be built without arguments."""
    found = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            inits = [
                f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"
            ]
            if not inits or len(inits[0].args.args) == 1:
                found.append(node.name)
    return found


def _read(name: str, reports: list[ModelReport]) -> Iterator[tuple[str, bool]]:
    yield f"{name} has a model", bool(reports)
    for report in reports:
        words = [d.message for d in report.diagnostics if d.severity == "error"]
        if report.status != "complete" or words:
            yield f"{report.target}: {'; '.join(words) or report.status}", False


def _marked(file: Path, code: str) -> set[int]:
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
    return {n for n, line in lines if (m := _MARK.search(line)) and code in m[1].split(", ")}


def _lines(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "none"
