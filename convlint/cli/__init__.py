"""The command line: one command a file. It reads flags, prints, and gives the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run convlint with these arguments and return its exit code.

    Every problem is one line on stderr; a traceback only follows with ``-v``.
    """
    from convlint.cli import ahead

    arguments = list(sys.argv[1:] if argv is None else argv)
    server = ahead.start(arguments)
    try:
        from convlint.cli.commands import convlint
        from convlint.cli.ending import guarded

        return guarded(convlint, arguments, server)
    finally:
        if server is not None:
            server.stop()
