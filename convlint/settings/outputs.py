"""``--outputs out,aux``: the outputs that inference reads, as people name them."""

from __future__ import annotations

from collections.abc import Sequence

from convlint import errors


def parse_outputs(names: Sequence[str | int] | None, where: str) -> tuple[str, ...]:
    """Return the names, each once, positions as text; none given means that all outputs count.

    ``where`` begins the error about a list that names nothing.
    """
    if names is None:
        return ()
    found = tuple(dict.fromkeys(str(name).strip() for name in names))
    if not found or "" in found:
        fix = "name those that are read, like out or 0,1; leave it out where all are"
        raise errors.UsageError("names no output", where=where, fix=fix)
    return found
