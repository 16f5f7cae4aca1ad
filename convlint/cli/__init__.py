"""The command line: one command a file. It reads flags, prints, and gives the exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from convlint.cli.given import Given

__all__ = ["main"]

_RARELY = (50_000, 20, 100)
"""What is made here stays to the end, or has no cycles: looking for some is mostly in vain."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run convlint with these arguments and return its exit code.

    Every problem is one line on stderr; a traceback only follows with ``-v``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is not None:
        return _run(arguments, Given())
    from convlint.cli import ahead, replay

    kept = replay.of(arguments)
    code = kept.printed() if kept is not None else None
    gc.set_threshold(*_RARELY)
    if kept is None:
        return _run(arguments, Given(ahead.start(arguments)))
    if code is not None:
        return code
    given = Given(None if kept.read_again else ahead.start(arguments), kept.record())
    with kept.copied() as copies:
        code = _run(arguments, given)
    return kept.keep(given, copies, code)


def _run(arguments: list[str], given: Given) -> int:
    try:
        from convlint.cli.commands import convlint
        from convlint.cli.ending import guarded

        return guarded(convlint, arguments, given)
    finally:
        if given.server is not None:
            given.server.stop()
