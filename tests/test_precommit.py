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


def _run_hook(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pre_commit", "try-repo", "../hooks", "convlint", "--verbose"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
