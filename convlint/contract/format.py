"""What a report must be: a function from RunReport to text, under a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convlint.contract.report import RunReport


@dataclass(frozen=True, slots=True)
class View:
    """How a report is to be shown: columns and colours of the terminal, and how much.

    ``link_base`` is what stands before "path#L12" where a report links to lines of code, such
    as "https://github.com/me/net/blob/main/"; "" makes no links. ``prefix`` leads from the top
    folder of the repository to the project's root ("services/vision/"), for reports whose readers
    count paths from the former.
    """

    width: int = 100
    color: bool = False
    verbose: int = 0
    quiet: bool = False
    link_base: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """A report: its name on the command line, and the function that renders it.

    ``costs`` renders the tables of ``convlint cost`` (a :class:`convlint.costs.CostReport`),
    where the format has them. ``beside`` names the format that is printed on stderr where this
    one, meant for a machine, is on stdout.
    """

    name: str
    summary: str
    render: Callable[[RunReport, View], str]
    costs: Callable[[Any, View], str] | None = None
    beside: str = ""
