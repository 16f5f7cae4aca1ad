"""How much a finding weighs."""

from __future__ import annotations

import enum


class Severity(enum.StrEnum):
    """How much a finding weighs; ``--fail-level`` compares these."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error."""
        return ("info", "warning", "error").index(self.value)
