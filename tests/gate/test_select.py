"""Which rules run, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from convlint import gate, profiles
from convlint.contract import Severity
from convlint.errors import ConfigError, ConvlintError, UsageError
from convlint.settings import RuleTable, Settings
from tests.gate.made import RULES, KernelOptions


def settings(**values: Any) -> Settings:
    """Return settings that come from pyproject.toml."""
    sources = {key.replace("_", "-"): "pyproject.toml" for key in values}
    return Settings(root=Path(), **{"sources": sources, **values})


def codes(**values: Any) -> list[str]:
    """Return the codes that run."""
    return [active.rule.meta.code for active in gate.active_rules(RULES, settings(**values))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ["CL101", "CL301"]),
        ({"select": ("CL",)}, ["CL101", "CL301"]),
        ({"select": ("cl3",)}, ["CL301"]),
        ({"select": ("dense-conv",)}, ["CL301"]),
        ({"select": ()}, []),
        ({"select": ("CL399",)}, ["CL399"]),
        ({"select": ("CL3", "new-idea")}, ["CL301", "CL399"]),
        ({"extend_select": ("CL399",)}, ["CL101", "CL301", "CL399"]),
        ({"ignore": ("CL3",)}, ["CL101"]),
        ({"ignore": ("large-kernel",)}, ["CL301"]),
        ({"select": ("CL301",), "ignore": ("CL3",)}, ["CL301"]),
        ({"select": ("CL301",), "ignore": ("CL301",)}, []),
        ({"ignore": ("all",)}, []),
    ],
)
def test_the_most_specific_selector_decides(values: dict[str, Any], expected: list[str]) -> None:
    """Codes, names and beginnings of codes select; a preview rule needs its exact name."""
    assert codes(**values) == expected


@pytest.mark.parametrize("key", ["select", "extend_select", "ignore"])
def test_an_unknown_rule_is_refused(key: str) -> None:
    """A selector that fits no rule ends the run and names the closest rule."""
    with pytest.raises(ConfigError) as caught:
        codes(**{key: ("dence-conv",)})
    assert caught.value.format() == (
        f"pyproject.toml: {key.replace('_', '-')}: unknown rule 'dence-conv'; "
        "did you mean dense-conv?"
    )
    with pytest.raises(UsageError, match="CL999"):
        codes(select=("CL999",), sources={"select": "--select"})


def test_every_rule_has_a_reason() -> None:
    """Of each rule it is told why it is on or off."""
    choices = gate.choose(RULES, settings(ignore=("CL1",)))
    assert [(choice.on, choice.why) for choice in choices] == [
        (False, "ignored by CL1 (pyproject.toml)"),
        (True, "selected by all (default)"),
        (False, "preview: select CL399 itself to turn it on"),
    ]


def test_severity_follows_profile_and_table() -> None:
    """A rule's severity is its default, that of the profile, or what the table says."""
    (_, dense) = gate.active_rules(RULES, settings())
    assert dense.severity is Severity.INFO
    (_, dense) = gate.active_rules(RULES, settings(profile=profiles.load("cpu")))
    assert dense.severity is Severity.WARNING
    table = {"CL301": RuleTable("here", Severity.ERROR)}
    (_, dense) = gate.active_rules(RULES, settings(profile=profiles.load("cpu"), rules=table))
    assert dense.severity is Severity.ERROR


def test_options_are_decoded() -> None:
    """A table's other keys are the rule's options, written kebab-case."""
    table = {"large-kernel": RuleTable("here", None, {"min-kernel": 9})}
    (kernel, _) = gate.active_rules(RULES, settings(rules=table))
    assert kernel.options == KernelOptions(min_kernel=9)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "large-kernel",
            {"min-kernl": 9},
            "here: unknown option min-kernl; did you mean min-kernel?",
        ),
        ("large-kernel", {"min-kernel": "9"}, "here: min-kernel: expected integer, got string"),
        ("large-kernal", {}, "here: unknown rule 'large-kernal'; did you mean large-kernel?"),
        ("dense-conv", {"a": 1}, "here: unknown option a; it has severity"),
    ],
)
def test_bad_tables_are_refused(name: str, options: dict[str, Any], said: str) -> None:
    """An option that a rule does not have, or of a wrong type, is named."""
    with pytest.raises(ConfigError) as caught:
        codes(rules={name: RuleTable("here", None, options)})
    assert caught.value.format() == said


def test_a_runtime_turns_off_what_it_does_itself() -> None:
    """A rule whose rewrite the runtime makes is off, unless it is asked for by code or name."""
    plain = RULES[0]
    done = dataclasses.replace(
        plain, meta=dataclasses.replace(plain.meta, code="XX401", name="x", done_by=("openvino",))
    )
    rules = (*RULES, done)
    for chosen, on in ((settings(), True), (settings(runtime="openvino"), False)):
        (choice,) = [c for c in gate.choose(rules, chosen) if c.rule is done]
        assert choice.on is on
    assert "openvino makes this rewrite itself" in choice.why
    named = settings(runtime="openvino", extend_select=("XX401",))
    assert [c.on for c in gate.choose(rules, named) if c.rule is done] == [True]
    with pytest.raises(ConvlintError) as caught:
        gate.choose(rules, settings(runtime="openvno"))
    assert "did you mean openvino?" in caught.value.format()
