"""Commands to type: the next one, for the end of the text report, and targets in a shell."""

from __future__ import annotations

import re
import shlex

from convlint.contract import Finding, ModelReport, RunReport
from convlint_reports import savings
from convlint_reports.savings import Section
from convlint_reports.words import cut

LONGEST = 200
_SPECIAL = frozenset('"$`\\!')
"""What a shell reads inside double quotes."""
_AT = re.compile(r" @ \d+(x\d+)*(, \d+(x\d+)*)*$")
"""How a report tells the inputs of one model apart, which is no part of its name."""


def next_command(run: RunReport) -> tuple[str, str]:
    """Return (command, what it does); ("", "") where nothing was read.

    The exact rewrites come first, since they cost no accuracy; then the page of the rule that
    saves most; a model without a finding is looked at layer by layer.
    """
    live = [(m, f) for m in run.models for f in savings.live(m.findings)]
    sized = frozenset(rule.code for rule in run.rules if rule.at_size)
    exact = [
        (m, f)
        for m, f in live
        if savings.section(f) is Section.EXACT and not (f.code in sized and _guessed(m))
    ]
    if exact:
        return (
            f"convlint apply {typed(exact[0][0].target)}{_outputs(exact[0][0])}",
            "makes the exact rewrites, outputs proven",
        )
    if live:
        return _about(savings.ordered(f for _, f in live)[0])
    read = [m for m in run.models if m.layers]
    if read:
        return f"convlint cost {typed(read[0].target)}", "the cost of every layer"
    return "", ""


def _guessed(model: ModelReport) -> bool:
    return any(spec.origin == "inferred" for spec in model.inputs)


def _outputs(model: ModelReport) -> str:
    names = ",".join(model.outputs)
    return f" --outputs {shlex.quote(names) if len(names) <= LONGEST else 'NAMES'}" if names else ""


def _about(finding: Finding) -> tuple[str, str]:
    return f"convlint rule {cut(finding.code, 40)}", "why, what it saves, when not to"


def typed(text: str) -> str:
    """Return a target as a shell reads it; one too long to type is left to the reader."""
    text = _AT.sub("", text)
    if len(text) > LONGEST:
        return "TARGET"
    if "'" in text and not _SPECIAL & set(text):
        return f'"{text}"'
    return shlex.quote(text)
