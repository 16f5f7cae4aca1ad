"""The baseline: findings that a project lives with, one entry a line in a sorted JSON file.

An entry says what was found, not where: rule, model, module paths, what it saves. So a file that
is renamed or a line that moves changes nothing, and a finding that grows is new.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint import errors
from convlint.contract import Finding, ModelReport

SCHEMA_VERSION = 1
LARGEST = 32 * 2**20
KNOWN = "known"
FIRST, THEN = ("macs", "params"), ("param_bytes", "activation_bytes", "bytes_read")
"""What must not grow, and what must not where a finding saves none of the first. The peak is
left out, since other layers move it."""

_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7})", re.MULTILINE)


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One finding that is known. ``saving`` holds what it saves, ``value`` what broke a limit."""

    model: str
    code: str
    name: str
    modules: tuple[str, ...]
    fingerprint: str
    saving: dict[str, int] = {}
    value: int | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """Rule and model, whatever file the model stands in."""
        return self.code, model_name(self.model)


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema_version: int
    findings: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of a file, and how people call the file."""

    shown: str
    entries: tuple[Entry, ...] = ()


# --- the file ----------------------------------------------------------------------------


def read_baseline(path: Path, shown: str) -> Baseline:
    """Return the baseline in a file; raise ConfigError where it is missing or not one."""
    try:
        if path.stat().st_size > LARGEST:
            raise errors.ConfigError(f"is larger than {LARGEST >> 20} MiB", where=shown)
        data = path.read_bytes()
    except OSError as error:
        fix = f"`convlint TARGET... --write-baseline {shown}` writes one"
        what = f"the baseline cannot be read: {error.strerror}"
        raise errors.ConfigError(what, where=shown, fix=fix) from None
    return Baseline(shown, _decode(data, shown).findings)


def render(entries: Iterable[Entry]) -> str:
    """Return the file's text: sorted, one entry a line, the same entries the same bytes."""
    ordered = sorted(entries, key=lambda e: (e.model, e.code, e.modules, e.fingerprint))
    lines = [msgspec.json.format(msgspec.json.encode(entry), indent=0) for entry in ordered]
    body = ",\n".join(line.decode() for line in lines)
    inner = f"\n{body}\n" if body else ""
    return f'{{\n"schema_version": {SCHEMA_VERSION},\n"findings": [{inner}]\n}}\n'


def _decode(data: bytes, shown: str) -> _Document:
    conflict = _CONFLICT.search(data)
    if conflict:
        line = data.count(b"\n", 0, conflict.start()) + 1
        fix = "keep the entries of both sides, or write it anew with --write-baseline"
        raise errors.ConfigError("holds a merge conflict", where=f"{shown}:{line}", fix=fix)
    try:
        document = msgspec.json.decode(data, type=_Document)
    except msgspec.DecodeError as error:
        fix = "write it anew with --write-baseline"
        raise errors.ConfigError(f"is not a baseline: {error}", where=shown, fix=fix) from None
    if document.schema_version != SCHEMA_VERSION:
        what = f"has schema_version {document.schema_version}, this convlint reads {SCHEMA_VERSION}"
        raise errors.ConfigError(what, where=shown)
    return document


# --- entries and findings ----------------------------------------------------------------


def model_name(target: str) -> str:
    """Return what a target names without its file: "Net" of "nets/net.py:Net"."""
    return target.partition(":")[2] or target


def entry_of(target: str, finding: Finding) -> Entry:
    """Return the entry for a finding of this model."""
    amounts = {key: getattr(finding.saving, key) for key in (*FIRST, *THEN)}
    return Entry(
        model=writable(target),
        code=finding.code,
        name=finding.name,
        modules=tuple(map(writable, finding.modules)),
        fingerprint=finding.fingerprint,
        saving={key: value for key, value in amounts.items() if value > 0},
        value=finding.budget.value if finding.budget is not None else None,
    )


def writable(text: str) -> str:
    """Return text that can be written as UTF-8: a file's name may hold raw bytes."""
    return text.encode("utf-8", "backslashreplace").decode()


def entries_of(reports: Iterable[ModelReport]) -> tuple[Entry, ...]:
    """Return an entry for every finding that is not suppressed."""
    return tuple(
        entry_of(report.target, finding)
        for report in reports
        for finding in report.findings
        if finding.suppressed is None
    )
