"""The pre-commit hook, run by pre-commit itself in a scratch repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BAD = (ROOT / "examples" / "grouped_net.py").read_text()
GOOD = (ROOT / "examples" / "clean_net.py").read_text()

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="pre-commit needs git")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty git repository beside a hook repository with this checkout's hooks.

    The environment is that of somebody who activated the venv convlint is installed in.
    """
    for key in [key for key in os.environ if key.startswith(("GIT_", "PRE_COMMIT"))]:
        monkeypatch.delenv(key)
    settings = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    hooks, repository = tmp_path / "hooks", tmp_path / "project"
    for folder in (hooks, repository):
        folder.mkdir()
        _git(folder, "init", "--quiet")
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    _git(hooks, "add", ".")
    _git(hooks, "commit", "--quiet", "--message", "hooks")
    yield repository


def test_bad_model_that_is_staged_stops_the_commit(project: Path) -> None:
    """A staged bad model gives exit 1 and its finding; an unstaged one is not looked at."""
    (project / "staged.py").write_text(BAD)
    (project / "untracked.py").write_text(BAD)
    _git(project, "add", "staged.py")
    run = _run_hook(project)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "staged.py:" in run.stdout
    assert "CL101 large-kernel" in run.stdout
    assert "untracked.py" not in run.stdout


def test_good_model_and_a_file_without_a_model_pass(project: Path) -> None:
    """A good model beside a .py without a model gives exit 0, whatever stands unstaged.

    The good model has bad changes in the working tree that are not staged.
    """
    (project / "model.py").write_text(GOOD)
    (project / "tool.py").write_text("import json\n\nprint(json.dumps({}))\n")
    _git(project, "add", "model.py", "tool.py")
    (project / "model.py").write_text(BAD)
    run = _run_hook(project)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Passed" in run.stdout
    assert (project / "model.py").read_text() == BAD


def test_only_files_without_a_model_pass(project: Path) -> None:
    """A commit without any model gives exit 0: there is nothing the hook was asked for."""
    (project / "tool.py").write_text("raise SystemExit('imported')\n")
    _git(project, "add", "tool.py")
    run = _run_hook(project)
    assert run.returncode == 0, run.stdout + run.stderr


def test_two_hundred_files_are_one_run(project: Path) -> None:
    """Of 200 staged files the models are found; every other file is skipped in one process."""
    for number in range(199):
        (project / f"tool_{number}.py").write_text(f"VALUE = {number}\n")
    (project / "model.py").write_text(BAD)
    _git(project, "add", ".")
    run = _run_hook(project)
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stdout.count("1 model, ") == 1
    assert "model.py:37:13: CL101" in run.stdout


def test_a_file_name_with_spaces(project: Path) -> None:
    """A name with spaces, quotes and a dollar is one file, looked at as it is called."""
    name = "my $net's (copy).py"
    (project / name).write_text(BAD)
    _git(project, "add", name)
    run = _run_hook(project)
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{name}:37:13: CL101" in run.stdout


def test_a_partially_staged_file_is_looked_at_as_it_is_staged(project: Path) -> None:
    """The staged half counts, the unstaged half is left as it was."""
    (project / "model.py").write_text(BAD)
    _git(project, "add", "model.py")
    (project / "model.py").write_text(GOOD)
    run = _run_hook(project)
    assert run.returncode == 1, run.stdout + run.stderr
    assert (project / "model.py").read_text() == GOOD


def test_excluded_files_and_the_baseline_hold_in_a_hook(project: Path) -> None:
    """What the configuration excludes or knows does not stop the commit."""
    table = '[tool.convlint]\nexclude = ["old/"]\nbaseline = "b.json"\n'
    (project / "pyproject.toml").write_text(table)
    (project / "b.json").write_text('{"schema_version": 1, "findings": []}')
    (project / "old").mkdir()
    (project / "old" / "model.py").write_text(BAD)
    _git(project, "add", ".")
    assert _run_hook(project).returncode == 0
    (project / "b.json").write_text("{}")
    (project / "model.py").write_text(BAD)
    _git(project, "add", ".")
    run = _run_hook(project)
    assert (run.returncode, "is not a baseline" in run.stdout) == (1, True)


def test_files_of_two_projects_each_have_their_own_settings(project: Path) -> None:
    """In a repository of several projects a commit may touch more than one."""
    for name, table in ("a", "ignore = ['all']"), ("b", "ignore = ['CL2', 'CL3']"):
        (project / name).mkdir()
        (project / name / "pyproject.toml").write_text(f"[tool.convlint]\n{table}\n")
        (project / name / "model.py").write_text(BAD)
    _git(project, "add", ".")
    run = _run_hook(project)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "CL101" in run.stdout
    assert "CL201" not in run.stdout


def test_the_declared_models_are_checked_whatever_is_staged(project: Path) -> None:
    """A staged file of settings is enough to look at the declared models and their limits."""
    (project / "model.py").write_text(GOOD)
    model = '[[tool.convlint.models]]\ntarget = "model.py:CleanNet"\nmax-macs = "1 MMACs"\n'
    (project / "pyproject.toml").write_text(model)
    _git(project, "add", "pyproject.toml")
    _git(project, "commit", "--quiet", "--no-verify", "--message", "x")
    (project / "width.yaml").write_text("width: 3\n")
    _git(project, "add", "width.yaml")
    run = _run_hook(project, "convlint-models")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "CL701 max-macs" in run.stdout


def test_the_configuration_is_checked_without_torch(project: Path, tmp_path: Path) -> None:
    """pre-commit installs convlint alone; settings, baseline and comments are read."""
    hooks = tmp_path / "hooks"
    for name in ("convlint", "rules", "reports"):
        skipped = shutil.ignore_patterns("__pycache__", "assets", "node_modules")
        shutil.copytree(ROOT / name, hooks / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, hooks)
    _git(hooks, "add", ".")
    _git(hooks, "commit", "--quiet", "--message", "all")
    (project / "pyproject.toml").write_text("[tool.convlint]\nselect = ['CL1']\n")
    (project / "model.py").write_text("import nothing_here  # convlint: ignore[CL101] wide\n")
    _git(project, "add", ".")
    run = _run_hook(project, "convlint-config")
    assert run.returncode == 0, run.stdout + run.stderr
    (project / "model.py").write_text("x = 1  # convlint: ignore\n")
    _git(project, "add", ".")
    run = _run_hook(project, "convlint-config")
    assert (run.returncode, "model.py:1:8: CL906" in run.stdout) == (1, True)
    (project / "pyproject.toml").write_text("[tool.convlint]\nselct = ['CL1']\n")
    _git(project, "add", ".")
    run = _run_hook(project, "convlint-config")
    assert (run.returncode, "unknown key selct" in run.stdout) == (1, True)


def _run_hook(project: Path, hook: str = "convlint") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pre_commit", "try-repo", "../hooks", hook, "--verbose"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
