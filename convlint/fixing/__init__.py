"""Edits of source that a finding allows: an argument of the call that builds a layer.

Only what is safe: the call is where the finding points, builds one layer, and names the argument
plainly or not at all. Everything else is told to be done by hand. Formatting and comments stay.
"""

from __future__ import annotations

from convlint.fixing.calls import edit_call
from convlint.fixing.plan import FileFix, ToDo, plan

__all__ = ["FileFix", "ToDo", "edit_call", "plan"]
