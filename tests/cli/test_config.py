"""convlint config: where each value is from, why each rule is on, and checks without a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

TABLE = """
[tool.convlint]
required-version = ">=0.1"
select = ["CL1", "max-macs"]
ignore = ["CL103"]
baseline = "b.json"
[tool.convlint.rules.max-macs]
severity = "warning"
[[tool.convlint.models]]
target = "net.py:Net"
max-macs = "4.2 GMACs"
[[tool.convlint.overrides]]
modules = ["body"]
ignore = ["CL101"]
"""


def test_every_value_and_rule_is_explained(run: Run, project: Path) -> None:
    """Each with its source; a rule with the selector that decided."""
    (project / "pyproject.toml").write_text(TABLE)
    result = run("config", "--fail-level", "error")
    assert result.code == 0
    lines = {line.split("#")[0].strip(): line for line in result.out.splitlines()}
    assert lines['select = ["CL1", "max-macs"]'].endswith("# pyproject.toml")
    assert lines['fail-level = "error"'].endswith("# --fail-level")
    assert lines['profile = "generic"'].endswith("# default")
    assert lines['baseline = "b.json"'].endswith("# pyproject.toml")
    assert lines['net.py:Net: max-macs = "4.2 GMACs"'].endswith("# pyproject.toml")
    assert any('"modules": ["body"]' in line for line in lines)
    rules = {line.split()[0]: line for line in result.out.splitlines() if line.startswith("CL")}
    assert "on   warning  selected by CL1 (pyproject.toml), min-kernel = 5" in rules["CL101"]
    assert "off           ignored by CL103 (pyproject.toml)" in rules["CL103"]
    assert "off           not selected" in rules["CL301"]
    assert "on   warning  selected by max-macs (pyproject.toml)" in rules["CL701"]


def test_an_override_counts_the_finding_as_suppressed(run: Run, project: Path) -> None:
    """What the configuration ignores is in the report with the reason, and leaves 0."""
    (project / "pyproject.toml").write_text(TABLE.replace('baseline = "b.json"', ""))
    result = run("net.py", "--format", "json")
    report = json.loads(result.out)
    assert (result.code, report["summary"]["suppressed"]) == (0, 1)
    (finding,) = report["models"][0]["findings"]
    assert finding["suppressed"] == "ignored by the configuration's overrides[0]"


@pytest.mark.parametrize(
    ("table", "files", "said", "code"),
    [
        ("", ("net.py", "util.py"), "", 0),
        ("", ("notes.txt",), "", 0),
        ("", ("bad.py",), "bad.py:1:8: CL906 this comment suppresses nothing", 1),
        ("", ("typo.py",), "did you mean large-kernel?", 1),
        ("selct = []", (), "unknown key selct; did you mean select?", 2),
        ("select = ['CL999']", (), "unknown rule 'CL999'", 2),
        ("rules.dense-conv.x = 1", (), "unknown option x", 2),
        ("baseline = 'no.json'", (), "the baseline cannot be read", 2),
        ("baseline = 'conflict.json'", (), "conflict.json:1: holds a merge conflict", 2),
        ("required-version = '>9'", (), "this is convlint ", 2),
        ("overrides = [{paths = ['a'], ignore = ['CL999']}]", (), "unknown rule 'CL999'", 2),
    ],
)
def test_check_tells_what_is_wrong_without_a_model(
    run: Run, project: Path, table: str, files: tuple[str, ...], said: str, code: int
) -> None:
    """Settings, rules, baseline and comments; the files themselves are only read."""
    (project / "pyproject.toml").write_text(f"[tool.convlint]\n{table}\n")
    (project / "bad.py").write_text("x = 1  # convlint: ignore\n")
    (project / "typo.py").write_text("x = 1  # convlint: ignore[large-kernl] wide\n")
    (project / "conflict.json").write_text("<<<<<<< HEAD\n")
    result = run("config", "--check", *files)
    assert result.code == code
    assert said in result.out + result.err
    assert "loud" not in result.out + result.err
