"""Has the child import torch from the first moment, where the arguments say that it is needed.

What is loaded here loads nothing else of convlint: the settings and the rest come while the child
is at work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlint.sandbox.server import Server

_NEVER = frozenset({"--help", "-h", "--version", "--python", "--base", "--watch"})


def start(arguments: Sequence[str]) -> Server | None:
    """Return a child of the running interpreter, or None where it may not be the one needed."""
    if not _reads_models(arguments):
        return None
    places = [place for word in arguments if (place := place_of(word)) is not None]
    if not places or any(_has_other_interpreter(place) for place in places):
        return None
    from convlint.sandbox import server

    try:
        return server.start()
    except OSError:
        return None


def place_of(word: str) -> Path | None:
    """Return the file or folder that a target names, None for anything else."""
    if not word or word.startswith("-"):
        return None
    for text in (word, word.partition(".py:")[0] + ".py"):
        if os.path.exists(text):  # noqa: PTH110
            return Path(text)
    return None


def _reads_models(arguments: Sequence[str]) -> bool:
    """Return whether the command is surely ``check``, named or meant."""
    if not arguments or any(word.partition("=")[0] in _NEVER for word in arguments):
        return False
    first = arguments[0]
    return first == "check" or first.startswith("-") or place_of(first) is not None


def _has_other_interpreter(place: Path) -> bool:
    """Return whether a project above has a ``.venv`` that is not the running interpreter's."""
    own = os.path.realpath(sys.prefix)
    folders = (place.resolve(), *place.resolve().parents)
    venvs = [folder / ".venv" for folder in folders if (folder / ".venv").is_dir()]
    return any(os.path.realpath(venv) != own for venv in venvs)
