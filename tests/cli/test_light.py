"""The commands that read no model: what they print, and what they do not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from convlint import __version__
from tests.cli.conftest import Run

HEAVY = ("torch", "networkx", "jinja2")
PROBE = """
import sys
from convlint.cli import main
code = main(sys.argv[1:])
heavy = sorted(set({heavy!r}) & set(sys.modules))
sys.exit(f"{{code}} {{heavy}}" if code or heavy else 0)
"""


@pytest.mark.parametrize(
    "typed", ["--help", "check --help", "--version", "rule", "rule CL101", "rule --all", "config"]
)
def test_what_reads_no_model_loads_nothing_slow(project: Path, typed: str) -> None:
    """In a fresh interpreter neither torch nor networkx nor Jinja2 is imported."""
    command = [sys.executable, "-c", PROBE.format(heavy=HEAVY), *typed.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_check_loads_no_torch_here(project: Path) -> None:
    """Even while models are checked, torch lives in the child only."""
    probe = PROBE.format(heavy=("torch",))
    command = [sys.executable, "-c", probe, "net.py", "--exit-zero", "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_rule_lists_all_and_shows_one(run: Run) -> None:
    """Without a word the list; with a code or a name the page, with code that fires."""
    listed = run("rule")
    assert listed.code == 0
    assert "CL101  large-kernel" in listed.out
    page = run("rule", "CL101")
    assert page.out == run("rule", "large-kernel").out == run("rule", "cl101").out
    assert page.out.startswith("CL101 large-kernel (")
    for part in ("Why it costs", "When not to apply", "bad.py", "good.py"):
        assert part in page.out
    assert page.out.strip() in run("rule", "--all").out


def test_config_shows_values_sources_and_reasons(run: Run, project: Path) -> None:
    """Each value with its source, each rule with why it is on or off."""
    (project / "pyproject.toml").write_text(
        "[tool.convlint]\nprofile = 'cpu'\n[tool.convlint.rules.large-kernel]\nmin-kernel = 9\n"
    )
    result = run("config", "--ignore", "CL301")
    assert result.code == 0
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert 'profile = "cpu" # pyproject.toml' in lines
    assert 'ignore = ["CL301"] # --ignore' in lines
    assert 'fail-level = "warning" # default' in lines
    assert "CL301 dense-conv off ignored by CL301 (--ignore)" in lines
    (kernel,) = [line for line in lines if line.startswith("CL101")]
    assert "selected by all (default)" in kernel
    assert "min-kernel = 9" in kernel


def test_version_and_module(project: Path) -> None:
    """``python -m convlint`` is convlint."""
    command = [sys.executable, "-m", "convlint", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert __version__ in done.stdout
