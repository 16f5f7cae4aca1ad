"""Which interpreter reads the models: the project's own, where it has torch."""

from __future__ import annotations

import sys
from pathlib import Path

from convlint import errors


def interpreter(root: Path, given: str | None = None) -> str | None:
    """Return ``given``, else the root's ``.venv`` where torch is in it, else None (the own one).

    Raises UsageError where ``given`` is no file.
    """
    if given is not None:
        if not Path(given).is_file():
            raise errors.UsageError("no such interpreter", where=f"--python {given}")
        return given
    venv = root / ".venv"
    if not venv.is_dir() or venv.resolve() == Path(sys.prefix).resolve():
        return None
    pythons = [venv / "bin" / "python", venv / "Scripts" / "python.exe"]
    torches = [*venv.glob("lib/python*/site-packages/torch"), *venv.glob("Lib/site-packages/torch")]
    return next((str(python) for python in pythons if python.is_file() and torches), None)
