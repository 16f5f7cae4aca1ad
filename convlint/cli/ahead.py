"""Has the child import torch from the first moment, where the arguments say that it is needed.

What is loaded here loads nothing else of convlint: the settings and the rest come while the child
is at work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlint.sandbox.server import Server

_NO_CHECK = frozenset({"--help", "-h", "--version"})
_OWN_CHILD = frozenset({"--python", "--base", "--watch"})


def start(arguments: Sequence[str]) -> Server | None:
    """Return a child of the running interpreter, or None where it may not be the one needed."""
    words = {word.partition("=")[0] for word in arguments}
    if not reads_models(arguments) or words & _OWN_CHILD:
        return None
    places = [place for word in arguments if (place := place_of(word)) is not None]
    if not places or any(_has_other_interpreter(place) for place in places):
        return None
    from convlint.sandbox import server

    try:
        return server.start()
    except OSError:
        return None


def place_of(word: str) -> str | None:
    """Return the file or folder that a target names, None for anything else."""
    if not word or word.startswith("-"):
        return None
    texts = (word, word.partition(".py:")[0] + ".py")
    return next((text for text in texts if os.path.exists(text)), None)


def reads_models(arguments: Sequence[str]) -> bool:
    """Return whether the command is surely ``check``, named or meant."""
    if not arguments or any(word in _NO_CHECK for word in arguments):
        return False
    first = arguments[0]
    return first == "check" or first.startswith("-") or place_of(first) is not None


def _has_other_interpreter(place: str) -> bool:
    """Return whether a project above has a ``.venv`` that is not the running interpreter's."""
    own, folder = os.path.realpath(sys.prefix), os.path.realpath(place)
    while folder != (folder := os.path.dirname(folder)):
        venv = os.path.join(folder, ".venv")
        if os.path.isdir(venv) and os.path.realpath(venv) != own:
            return True
    return False
