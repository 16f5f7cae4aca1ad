"""Settings as data."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convlint.contract import Severity
from convlint.profiles import GENERIC, Target
from convlint.settings.limits import Limit
from convlint.wire import InputSpec

ALL_RULES = "all"
NO_RUNTIME = "none"


class FailLevel(enum.StrEnum):
    """From which severity on a finding makes the exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NONE = "none"

    def reached_by(self, severity: Severity) -> bool:
        """Say whether a finding of this severity counts."""
        return self is not FailLevel.NONE and severity.rank >= Severity(self.value).rank


@dataclass(frozen=True, slots=True)
class RuleTable:
    """``[tool.convlint.rules.<name>]``: a severity, and options that the rule decodes.

    ``where`` is what an error about it begins with.
    """

    where: str
    severity: Severity | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """``[[tool.convlint.models]]``: a target, and the input lists to check it at.

    ``path`` is the absolute file, None for ``package.module:EXPR``; ``place`` is the
    file or module as it was written. ``limits`` are its budgets, ``outputs`` those of its outputs
    that are read, if not all.
    """

    target: str
    place: str
    path: Path | None = None
    expression: str = ""
    inputs: tuple[tuple[InputSpec, ...], ...] = ()
    limits: tuple[Limit, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Override:
    """``[[tool.convlint.overrides]]``: other severities, or none, for some files and modules.

    ``paths`` are gitignore patterns relative to the root, ``modules`` globs of module paths; an
    empty one fits everything. ``ignore`` and ``severity`` name rules as ``select`` does.
    """

    where: str
    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, Severity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was set, merged. ``sources`` says of each key where its value is from.

    ``ram`` are the bytes that activations may take, 0 where that was not said; ``runtime`` what will
    run the model: rules whose rewrite it makes itself are off.
    ``root`` is the folder that patterns and paths of the configuration are relative to.
    """

    root: Path
    select: tuple[str, ...] = (ALL_RULES,)
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    fail_level: FailLevel = FailLevel.WARNING
    profile: Target = GENERIC
    rules: Mapping[str, RuleTable] = field(default_factory=dict)
    models: tuple[ModelEntry, ...] = ()
    overrides: tuple[Override, ...] = ()
    baseline: Path | None = None
    required_version: str = ""
    ram: int = 0
    runtime: str = NO_RUNTIME
    sources: Mapping[str, str] = field(default_factory=dict)

    def source(self, key: str) -> str:
        """Return where the value of ``key`` (as TOML spells it) comes from."""
        return self.sources.get(key, "default")
