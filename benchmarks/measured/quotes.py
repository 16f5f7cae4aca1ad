"""Puts each measured rule's figures into its page: a paragraph at the end of "Savings"."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from benchmarks.measured.results import RowResult, VariantResult
from convlint import plugins

_BEGIN = "Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO"
_SECTION = re.compile(r"(?<=^Savings\n-------\n)(.*?)(?=\n\nWhen not to apply\n)", re.M | re.S)
_BACKENDS = ("eager", "compile", "onnxruntime", "openvino")
_SWAPS = {
    "CL101": ("kernel-5x5", "kernel-7x7"),
    "CL202": ("groups",),
    "CL301": ("separable-64", "separable-512"),
}


def write(rows: Iterable[RowResult]) -> list[str]:
    """Write the figures into the rules' docstrings; return the names of the rules changed."""
    known = list(rows)
    changed = []
    for rule in plugins.load_rules():
        told = quote(rule.meta.code, known)
        file = Path(rule.folder) / "rule.py"
        if told and file.exists():
            text = file.read_text(encoding="utf-8")
            new = _SECTION.sub(lambda match, told=told: _with(match[1], told), text, count=1)
            if new != text:
                file.write_text(new, encoding="utf-8")
                changed.append(rule.meta.name)
    return changed


def quote(code: str, rows: list[RowResult]) -> str:
    """Return the paragraph of a rule, empty where it was not measured."""
    swaps = _SWAPS.get(code, ())
    found = [row for row in rows if (row.rules[:1] == (code,)) or row.name in swaps]
    parts = [
        f"{_what(row, variant)}: {_figures(variant)}"
        for row in found
        for variant in row.variants[1:]
        if variant.times
    ]
    if not parts:
        return ""
    return "\n".join(textwrap.wrap(f"{_BEGIN} (docs/measured.md): {'; '.join(parts)}.", 98))


def _what(row: RowResult, variant: VariantResult) -> str:
    return row.what if row.rules else f"{variant.name} for {row.what}"


def _figures(variant: VariantResult) -> str:
    times = [variant.times.get(key) for key in _BACKENDS]
    return ", ".join("-" if time is None else f"{time.ratio:.2f}" for time in times)


def _with(section: str, told: str) -> str:
    before = section.partition("\n\nMeasured, time after")[0]
    return f"{before}\n\n{told}"
