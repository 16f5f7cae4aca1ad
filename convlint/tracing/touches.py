"""What a model was made of, as a cache has to know: files, folders, variables."""

from __future__ import annotations

import os
import sys

from convlint.touched import Watch
from convlint.wire import Touched

_NOWHERE = ("/proc/", "/sys/", "/dev/", "<")
_SITES = ("site-packages", "dist-packages")


def told(watch: Watch, request: str) -> Touched:
    """Return what the process read since the watch began, without torch, Python and ourselves.

    ``request`` is the file that the request came in. Of torch the file of its version stands.
    """
    job = os.path.dirname(request)
    torch = os.path.dirname(str(sys.modules["torch"].__file__))
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    hidden = (job, own, torch, *_NOWHERE)
    files = (watch.files | watch.modules(new=True)) - watch.written
    return Touched(
        files=(*_outside(files, hidden), os.path.join(torch, "version.py")),
        listed=_outside(watch.listed, hidden),
        searched=_outside(watch.searched, hidden),
        sites=tuple(sorted({entry for entry in sys.path if entry.endswith(_SITES)})),
        environment=watch.environment,
        uncertain=watch.uncertain,
    )


def _outside(paths: set[str], hidden: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that are in none of the hidden folders, and not of Python itself."""
    return tuple(
        path for path in sorted(paths) if not path.startswith(hidden) and not _is_stdlib(path)
    )


def _is_stdlib(path: str) -> bool:
    folder = os.path.dirname(os.__file__) + os.sep
    return path.startswith(folder) and not any(f"{os.sep}{site}" in path for site in _SITES)
