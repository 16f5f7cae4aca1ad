"""The other lines of a finding, told together: one entry for each thing they are."""

from __future__ import annotations

from convlint.contract import Finding


def told(finding: Finding) -> tuple[str, ...]:
    """Return "built through: net.py:12, 40" for each message, in order of appearance."""
    lines: dict[str, dict[str, list[int]]] = {}
    for other in finding.related:
        lines.setdefault(other.message, {}).setdefault(other.path, []).append(other.line)
    return tuple(f"{message}: {_places(paths)}" for message, paths in lines.items())


def _places(paths: dict[str, list[int]]) -> str:
    return "; ".join(
        f"{path}:{', '.join(map(str, sorted(numbers)))}" for path, numbers in paths.items()
    )
