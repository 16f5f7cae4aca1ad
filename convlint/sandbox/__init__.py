"""The parent's side of the process wall: children, limits, captured prints (no torch)."""

from __future__ import annotations

from convlint.sandbox.box import Limits, Sandbox

__all__ = ["Limits", "Sandbox"]
