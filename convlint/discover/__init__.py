"""Turns targets into Requests by reading Python files as text; it runs nothing.

targets -> locate -> Target (a file, an expression) -> read -> Found (a Request, or a
Reply where it is clear already that the file cannot be checked)
"""

from __future__ import annotations

from convlint.discover.found import Found, read
from convlint.discover.inputs import parse_input, parse_inputs
from convlint.discover.targets import Filter, Target, locate, root_of

__all__ = ["Filter", "Found", "Target", "locate", "parse_input", "parse_inputs", "read", "root_of"]
