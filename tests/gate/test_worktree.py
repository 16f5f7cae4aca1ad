"""A revision beside the user's files: found, left, and never in the way."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from convlint import gate
from convlint.errors import UsageError


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it printed."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits; between them a file was renamed, another one added."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    folder = tmp_path / "my répo"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "sub" / "old näme.py").write_text("x = 1\n" * 20)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "one")
    git(folder, "mv", "sub/old näme.py", "new\tname.py")
    (folder / "more.py").write_text("y = 2\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "two")
    return folder


def test_the_revision_stands_for_the_repository(repository: Path) -> None:
    """Paths are mapped; a renamed file is found by its old name; what was not there is None."""
    with gate.checked_out("HEAD~1", repository) as tree:
        assert tree.path(repository) == tree.folder
        old = tree.path(repository / "new\tname.py")
        assert old == tree.folder / "sub" / "old näme.py"
        assert old.read_text().startswith("x = 1")
        assert tree.path(repository / "more.py") is None
        assert tree.path(repository.parent) is None
        assert not (tree.folder / "more.py").exists()
    assert not tree.folder.exists()
    assert git(repository, "worktree", "list").count("\n") == 1


def test_it_is_taken_away_after_an_error(repository: Path) -> None:
    """Whatever happens meanwhile, nothing is left behind."""
    with pytest.raises(ZeroDivisionError), gate.checked_out("main", repository) as tree:
        (tree.folder / "left.txt").write_text("x")
        raise ZeroDivisionError
    assert not tree.folder.exists()
    assert list((repository / ".git").glob("worktrees/*")) == []


def test_a_hook_around_us_does_not_lead_astray(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git sets variables for its hooks; the repository of the files is meant all the same."""
    monkeypatch.setenv("GIT_DIR", str(repository.parent / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository.parent / "nowhere"))
    assert gate.top_of(repository / "sub") == repository
    with gate.checked_out("main", repository) as tree:
        assert (tree.folder / "more.py").exists()


@pytest.mark.parametrize(
    "ref", ["nope", "", "--output=x", "-h", "main:more.py", "HEAD~99", "main\0x", "main..HEAD"]
)
def test_what_is_no_commit_is_refused(repository: Path, ref: str) -> None:
    """A word that git would take for an option or a file is no revision."""
    assert not gate.is_revision(ref, repository)
    with pytest.raises(UsageError, match="no such revision"), gate.checked_out(ref, repository):
        pass


def test_outside_a_repository_the_reason_is_told(tmp_path: Path) -> None:
    """git's own words say why."""
    assert gate.top_of(tmp_path) is None
    with pytest.raises(UsageError, match="not a git repository"), gate.checked_out("x", tmp_path):
        pass
