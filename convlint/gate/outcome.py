"""What became of one model that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from convlint.contract import ModelReport
from convlint.ir.nodes import SourceSpan
from convlint.settings import Limit, ModelEntry
from convlint.wire import Failure, Reply, Request


@dataclass(frozen=True, slots=True)
class Outcome:
    """A report with what the gate must know besides.

    ``asked`` is the target the user typed: models of one folder or file share it.
    ``note`` is true of a failure that stands beside models that could be checked.
    ``sources`` maps the paths in the report to absolute files; it goes into no report.
    ``limits`` are declared for the model, ``place`` is the line of its class.
    """

    asked: str
    report: ModelReport
    failure: Failure | None = None
    note: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    place: SourceSpan | None = None

    @property
    def checked(self) -> bool:
        """Whether the model was read, at least in part."""
        return self.report.status in ("complete", "partial")


def made_of(
    asked: str,
    request: Request | None,
    reply: Reply,
    report: ModelReport,
    models: Sequence[ModelEntry] = (),
) -> Outcome:
    """Return the outcome of a request (None where none was sent), with what is declared for it."""
    if request is None:
        return Outcome(asked, report, reply.failure, sources=reply.sources)
    limits = tuple(limit for entry in models if _is_for(entry, request) for limit in entry.limits)
    place, sources = None, dict(reply.sources)
    if request.file is not None:
        place = SourceSpan(request.target.partition(":")[0], request.class_line)
        sources.setdefault(place.path, request.file)
    return Outcome(asked, report, reply.failure, sources=sources, limits=limits, place=place)


def _is_for(entry: ModelEntry, request: Request) -> bool:
    """Say whether the entry declares this model: its file, and its expression where it has one."""
    file = str(entry.path) == request.file if entry.path else entry.place == request.module
    wanted = entry.expression.removesuffix("()")
    return file and (not wanted or wanted in (e.removesuffix("()") for e in request.expressions))
