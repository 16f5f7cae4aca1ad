"""What a run was asked for: pyproject's ``[tool.convlint]`` and the flags, merged.

files and flags -> load -> Settings, each value with its source
"""

from __future__ import annotations

from convlint.settings.inputs import parse_input, parse_inputs
from convlint.settings.limits import Limit
from convlint.settings.load import Flags, load, project_root
from convlint.settings.model import (
    ALL_RULES,
    NO_RUNTIME,
    FailLevel,
    ModelEntry,
    Override,
    RuleTable,
    Settings,
)
from convlint.settings.outputs import parse_outputs

__all__ = [
    "ALL_RULES",
    "NO_RUNTIME",
    "FailLevel",
    "Flags",
    "Limit",
    "ModelEntry",
    "Override",
    "RuleTable",
    "Settings",
    "load",
    "parse_input",
    "parse_inputs",
    "parse_outputs",
    "project_root",
]
