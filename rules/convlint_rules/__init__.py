"""The rules that ship with convlint: every folder here with a ``rule.py`` is one.

A new folder is found by :func:`rules`; no other file is touched.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from convlint.contract import Rule
from convlint.errors import PluginError

__all__ = ["rules"]


def rules() -> tuple[Rule, ...]:
    """Return the ``RULE`` of every folder here that has a ``rule.py``, sorted by code."""
    files = sorted(Path(__file__).parent.glob("*/rule.py"))
    found = [_load(f"{__name__}.{file.parent.name}.rule") for file in files]
    return tuple(sorted(found, key=lambda rule: rule.meta.code))


def _load(module: str) -> Rule:
    rule = getattr(importlib.import_module(module), "RULE", None)
    if not isinstance(rule, Rule):
        raise PluginError("it ends in no RULE = contract.Rule(...)", where=module)
    return rule
