"""The parent's side of the process wall: children, limits, captured prints (no torch).

What is named here is loaded when it is first used: a child can be started before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlint.sandbox.box import Limits, Sandbox

__all__ = ["Limits", "Sandbox"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from convlint.sandbox import box

    return getattr(box, name)
