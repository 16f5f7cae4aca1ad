"""What a command is given beside its words: what the process did before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlint.cache.runs import Record
    from convlint.sandbox.server import Server


class Given:
    """A child that imports torch already, and the record of the run; None where there is none."""

    def __init__(self, server: Server | None = None, record: Record | None = None) -> None:
        self.server = server
        self.record = record

    def finish(self) -> None:
        """Note that the command came to its end."""
        if self.record is not None:
            self.record.finished = True
