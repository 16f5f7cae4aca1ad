"""Reads a JSON report that somebody wrote: as data, strictly, up to a size."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from convlint import errors
from convlint.contract import SCHEMA_VERSION, RunReport

_OUTSIDE = re.compile(r"[\\/]|[A-Za-z]:|(.*[\\/])?\.\.([\\/]|$)")
LARGEST = 512 * 2**20


def read_report(path: Path, shown: str) -> RunReport:
    """Return the report in a file; raise UsageError where it is missing or not one."""
    try:
        if path.stat().st_size > LARGEST:
            raise errors.UsageError(f"is larger than {LARGEST >> 20} MiB", where=shown)
        data = path.read_bytes()
    except OSError as error:
        raise errors.UsageError(f"cannot be read: {error.strerror}", where=shown) from None
    fix = f"`convlint TARGET... --report json={shown}` writes one"
    try:
        report = msgspec.json.decode(data, type=RunReport)
    except msgspec.DecodeError as error:
        what = f"is no JSON report of this convlint: {error}"
        raise errors.UsageError(what, where=shown, fix=fix) from None
    if report.schema_version != SCHEMA_VERSION:
        what = f"has schema_version {report.schema_version}, this convlint reads {SCHEMA_VERSION}"
        raise errors.UsageError(what, where=shown)
    _require_inside(report, shown)
    return report


def _require_inside(report: RunReport, shown: str) -> None:
    for model in report.models:
        for finding in model.findings:
            span = finding.location
            if span is not None and _OUTSIDE.match(span.path):
                what = f"names a file outside the project: {span.path}"
                raise errors.UsageError(what, where=shown)
