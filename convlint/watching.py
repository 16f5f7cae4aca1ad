"""Waits for files to change: those that models were made of, and Python files beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from watchfiles import Change, watch

_ALWAYS = (".py",)
_NAMES = ("pyproject.toml",)
_STEP = 20
"""Milliseconds without a change after which the ones before are told."""
_TIMEOUT = 250


class Waiter:
    """Hears of changes in the folders of some files, from the moment it is made.

    Told are changes of the ``files`` themselves, and of Python files and configurations beside
    them; nothing that is hidden or that a build makes.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self.files = frozenset(files)
        folders = {Path(path).parent for path in self.files}
        self.folders = frozenset(folder for folder in folders if folder.is_dir())
        self._changes = watch(
            *sorted(self.folders),
            watch_filter=self._is_told,
            recursive=False,
            step=_STEP,
            debounce=10 * _STEP,
            rust_timeout=_TIMEOUT,
            yield_on_timeout=True,
        )
        self._first = next(self._changes)

    def wait(self) -> tuple[str, ...]:
        """Return the paths that changed since they were last asked for, once there are any."""
        found, self._first = self._first, set()
        while not found:
            found = next(self._changes)
        return tuple(sorted({path for _, path in found}))

    def _is_told(self, change: Change, path: str) -> bool:
        del change
        name = Path(path).name
        beside = name.endswith(_ALWAYS) and not name.startswith(".")
        return path in self.files or beside or name in _NAMES
