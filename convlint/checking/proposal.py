"""What a rule proposes at one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convlint.contract import Rewrite
from convlint.edit import GraphEdit


@dataclass(frozen=True, slots=True)
class Proposal:
    """One place that a rule may rewrite, and how; the first rewrite is the one counted."""

    site: Any
    rewrites: tuple[Rewrite, ...]

    def edit(self, place: int = 0) -> GraphEdit | None:
        """Return the edit of one way, None where there is none or it promises nothing."""
        if place >= len(self.rewrites) or not self.rewrites[place].claimed:
            return None
        return self.rewrites[place].edit
