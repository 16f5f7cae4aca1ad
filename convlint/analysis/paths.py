"""Paths of modules."""

from __future__ import annotations

from collections.abc import Iterator


def around(module: str) -> Iterator[str]:
    """Yield the paths of the modules around one, the outermost first, itself last, without the root."""
    parts = module.split(".") if module else []
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])
