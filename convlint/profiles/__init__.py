"""Targets: what hardware and runtimes make of a model, one TOML file each, every value sourced.

Rules take their thresholds from here. A user's own file works like those in ``data/``; it may
name a ``base`` to start from.
"""

from __future__ import annotations

from convlint.profiles.load import GENERIC, load, names
from convlint.profiles.model import Target, Value

__all__ = ["GENERIC", "Target", "Value", "load", "names"]
