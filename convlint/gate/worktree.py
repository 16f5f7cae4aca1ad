"""A git revision in a folder of its own, for as long as it is looked at.

The user's tree, index and branch stay untouched: the revision is checked out beside them, without
hooks, and taken away again.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import errors

_LOCAL = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
_QUIET = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")
SECONDS = 600


@dataclass(frozen=True, slots=True)
class Tree:
    """A revision checked out: ``folder`` stands for the repository's ``top``."""

    name: str
    folder: Path
    top: Path
    renamed: dict[str, str]

    def path(self, place: Path) -> Path | None:
        """Return where an absolute path of the repository stands in the revision, if it does.

        A file that was renamed since is found by its old name; None where there is none.
        """
        try:
            inside = place.relative_to(self.top)
        except ValueError:
            return None
        here = self.folder / inside
        if here.exists():
            return here
        old = self.renamed.get(inside.as_posix())
        return self.folder / old if old and (self.folder / old).exists() else None


def top_of(place: Path) -> Path | None:
    """Return the top folder of the git repository that a folder is in, None outside one."""
    try:
        done = _run(place, "rev-parse", "--show-toplevel")
    except errors.UsageError:
        return None
    return Path(done.stdout.strip()).resolve() if done.returncode == 0 else None


def is_revision(word: str, place: Path) -> bool:
    """Say whether git knows a commit by this name."""
    top = top_of(place)
    return top is not None and _commit(word, top) is not None


@contextlib.contextmanager
def checked_out(ref: str, place: Path) -> Iterator[Tree]:
    """Give the revision ``ref`` of the repository around ``place``.

    Raises UsageError where there is no repository, no git or no such commit.
    """
    top = top_of(place)
    if top is None:
        told = _run(place, "rev-parse", "--show-toplevel").stderr.strip()
        reason = told.partition("\n")[0].removeprefix("fatal: ")
        raise errors.UsageError(f"git finds no repository here ({reason})", where=ref)
    commit = _commit(ref, top)
    if commit is None:
        fix = f"fetch it first, like `git fetch origin {ref}`, or name a commit that git log shows"
        raise errors.UsageError("no such revision", where=ref, fix=fix)
    with tempfile.TemporaryDirectory(prefix="convlint-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve() / top.name
        made = _run(top, "worktree", "add", "--detach", "--force", str(folder), commit)
        try:
            if made.returncode:
                last = (made.stderr.strip().splitlines() or ["git worktree add failed"])[-1]
                raise errors.UsageError(f"cannot be checked out: {last}", where=ref)
            yield Tree(ref, folder, top, _renamed(commit, top))
        finally:
            _run(top, "worktree", "remove", "--force", "--force", str(folder))


def _commit(ref: str, top: Path) -> str | None:
    if not ref or "\0" in ref:
        return None
    wanted = f"{ref}^{{commit}}"
    done = _run(top, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
    return done.stdout.strip() if done.returncode == 0 else None


def _renamed(commit: str, top: Path) -> dict[str, str]:
    """Return old names by new ones, of the files that were renamed since the commit."""
    done = _run(
        top, "diff", "--no-ext-diff", "--name-status", "-z", "-M", "--diff-filter=R", commit
    )
    parts = done.stdout.split("\0") if done.returncode == 0 else []
    return {parts[i + 2]: parts[i + 1] for i in range(0, len(parts) - 2, 3)}


def _run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in _LOCAL}
    folder = place if place.is_dir() else place.parent
    try:
        return subprocess.run(
            ["git", *_QUIET, *arguments],
            cwd=folder,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise errors.UsageError("git is not installed", where="git") from None
    except subprocess.TimeoutExpired:
        raise errors.UsageError(f"git took more than {SECONDS} s", where="git") from None
