"""What a command is given beside its words: what the process did before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlint.cache.runs import Record
    from convlint.sandbox import Sandbox
    from convlint.sandbox.server import Server
    from convlint.wire import Reply


class Given:
    """A child that imports torch already, and the record of the run; None where there is none.

    ``box`` outlives one check; ``heard`` are the files of the models that were read.
    """

    def __init__(self, server: Server | None = None, record: Record | None = None) -> None:
        self.server = server
        self.record = record
        self.box: Sandbox | None = None
        self.heard: set[str] = set()

    def hear(self, reply: Reply) -> None:
        """Note which files a model was made of, or failed at."""
        self.heard.update(reply.sources.values())
        if reply.touched is not None:
            self.heard.update(reply.touched.files)

    def watched(self) -> frozenset[str]:
        """Return the files of the models that may change: not those that are installed."""
        return frozenset(path for path in self.heard if "-packages" not in path)

    def finish(self) -> None:
        """Note that the command came to its end."""
        if self.record is not None:
            self.record.finished = True
