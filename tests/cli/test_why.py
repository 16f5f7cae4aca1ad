"""``why``, ``why-not``, ``new-rule`` and ``test-rule``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from convlint import plugins
from tests.cli.conftest import Run

SIZE = ("--input", "1x3x32x32")


def lines(text: str) -> list[str]:
    """Return the lines with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_why_tells_cost_findings_and_refusals_of_a_module(run: Run) -> None:
    """What it costs, what is found with its code, what was left alone with the reason."""
    told = run("why", "body", "net.py:Net", *SIZE)
    assert told.code == 0, told.err
    text = lines(told.out)
    assert text[0] == "net.py:Net: body"
    macs = 32 * 32 * 32 * 64 * 49
    assert f"costs {macs / 1e6:.4g} M MACs" in text[1]
    assert "10:21" not in told.out
    assert any("CL101 large-kernel" in line for line in text)
    assert any(line.startswith("| nn.Conv2d(32, 64, 3") for line in text)
    assert any("CL301 dense-conv left body alone: CL101 tells of it" in line for line in text)


@pytest.mark.parametrize(
    ("rule", "layer", "said"),
    [
        ("CL101", "stem", "it is no place of this rule"),
        ("CL301", "stem", "it is a stem: 3 input channels"),
        ("dense-conv", "body", "CL101 tells of it"),
        ("large-kernel", "body", "it is found"),
        ("CL201", "body", "it has no place in this model at all"),
    ],
)
def test_why_not_gives_the_guards_reason(run: Run, rule: str, layer: str, said: str) -> None:
    """The reason with its values; the nearest miss; or that the rule has no place here."""
    told = run("why-not", rule, layer, "net.py:Net", *SIZE)
    assert told.code == 0, told.err
    assert said in told.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("why", "bdy", "net.py:Net"), "no layer 'bdy'; did you mean body?"),
        (("why-not", "CL999", "body", "net.py:Net"), "unknown rule 'CL999'"),
        (("why-not", "CL101", "zzz", "net.py:Net"), "layers there: stem, body"),
        (("why", "body", "no.py"), "no such file"),
        (("new-rule", "Bad_Name"), "'Bad_Name' is no rule's name"),
        (("new-rule", "x", "--code", "9"), "'9' is no code"),
        (("test-rule", "empty"), "has no rule.py; convlint new-rule NAME"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """Exit 2 and what to type instead."""
    told = run(*arguments)
    assert told.code == 2
    assert said in told.err
    assert "Traceback" not in told.err


def test_a_new_rule_fails_its_tests_until_its_examples_are_right(run: Run, project: Path) -> None:
    """The scaffold is a rule that loads; its examples are wrong on purpose."""
    assert run("new-rule", "wide-point", "--code", "AB101").code == 0
    told = run("test-rule", "wide_point")
    assert told.code == 1
    assert "FAIL bad.py fires on lines 12, not on 13" in told.out
    assert "FAIL good.py fires on lines none, not on 13" in told.out
    bad, good = project / "wide_point/bad.py", project / "wide_point/good.py"
    mark = "  # expect: AB101"
    text = "\n".join(line.partition(mark)[0] for line in bad.read_text().splitlines())
    bad.write_text(text.replace("nn.Conv2d(64, 64, 1)", f"nn.Conv2d(64, 64, 1){mark}") + "\n")
    text = good.read_text().replace("64, 64, 1)", "64, 32, 1)").replace("Linear(64", "Linear(32")
    good.write_text(text)
    told = run("test-rule", "wide_point")
    assert told.code == 0, told.out
    assert "all passed" in told.out
    assert run("new-rule", "wide-point").code == 2


def test_a_malformed_rule_is_refused_with_its_folder(run: Run, project: Path) -> None:
    """What is wrong with its form, and where it lies."""
    assert run("new-rule", "odd", "--code", "AB102").code == 0
    file = project / "odd/rule.py"
    file.write_text(file.read_text().replace("Savings\n-------\n", ""))
    told = run("test-rule", "odd")
    assert told.code == 2
    assert "odd" in told.err
    assert "lacks the headings Savings" in told.err


def test_a_plugin_outside_works_like_ours(tmp_path: Path) -> None:
    """A package with an entry point, installed for real, brings its rule into every command."""
    place = tmp_path / "site"
    package = tmp_path / "plug"
    inner = package / "my_rules"
    inner.mkdir(parents=True)
    from convlint.scaffold import files_of

    rule = inner / "wide_point"
    rule.mkdir()
    for name, text in files_of("wide-point", "AB101").items():
        (rule / name).write_text(text)
    (inner / "__init__.py").write_text(
        "from my_rules.wide_point.rule import RULE\n\n\ndef rules():\n    return (RULE,)\n"
    )
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "my-rules"\nversion = "1"\n'
        '[project.entry-points."convlint.rules"]\nmine = "my_rules:rules"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["my_rules"]\n'
    )
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*install, "--target", str(place), str(package)], check=True, timeout=300)
    env = {**os.environ, "PYTHONPATH": str(place)}
    told = subprocess.run(
        [sys.executable, "-m", "convlint", "check", str(rule / "good.py"), "--select", "AB101"],
        capture_output=True, text=True, env=env, timeout=300, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "AB101 wide-point" in told.stdout
    listed = subprocess.run(
        [sys.executable, "-m", "convlint", "rule", "wide-point"],
        capture_output=True, text=True, env=env, timeout=300, check=False,
    )  # fmt: skip
    assert "What it does" in listed.stdout
    assert "AB101" not in {rule.meta.code for rule in plugins.load_rules()}
