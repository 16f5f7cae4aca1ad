"""What became of one model that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from convlint.contract import ModelReport
from convlint.wire import Failure


@dataclass(frozen=True, slots=True)
class Outcome:
    """A report with what the gate must know besides.

    ``asked`` is the target the user typed: models of one folder or file share it.
    ``note`` is true of a failure that stands beside models that could be checked.
    ``sources`` maps the paths in the report to absolute files; it goes into no report.
    """

    asked: str
    report: ModelReport
    failure: Failure | None = None
    note: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def checked(self) -> bool:
        """Whether the model was read, at least in part."""
        return self.report.status in ("complete", "partial")
