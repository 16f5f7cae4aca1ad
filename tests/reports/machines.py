"""What every report for machines is tried on: hostile names, many findings, known ones."""

from __future__ import annotations

import msgspec

from convlint.contract import Finding, RunReport, Saving, Severity
from convlint.ir.nodes import SourceSpan
from tests.reports import hostile, sample

NAMES = (
    *hostile.NAMES,
    "::error::owned",
    "\n::set-output name=x::y",
    "##[add-mask]x",
    "::stop-commands::x",
    "a,b:c%d%0A::warning::z",
    "]]>&lt;x&gt;]]>",
    "\U0001f600\U00010348 four bytes",
    "\x00\x0b\ufffe\uffff",
    'quote " and | pipe',
    "../../etc/passwd",
)


def run() -> RunReport:
    """A run with one model for each hostile name."""
    report = hostile.run()
    models = tuple(hostile.model(name) for name in NAMES)
    return msgspec.structs.replace(report, models=models)


def finding(
    number: int, severity: Severity = Severity.WARNING, macs: int = 1000, **more: object
) -> Finding:
    """A finding on its own line."""
    return msgspec.structs.replace(
        sample.DENSE,
        severity=severity,
        location=SourceSpan("nets/a b#c.py", number, 5, number, 20),
        saving=Saving(macs=macs),
        fingerprint=f"f{number}",
        related=(),
        **more,
    )


def many(count: int, severity: Severity = Severity.WARNING) -> RunReport:
    """A run whose one model has this many findings, each saving more than the one before."""
    found = tuple(finding(n, severity, macs=n * 10**6) for n in range(1, count + 1))
    return sample.run(msgspec.structs.replace(sample.resnet(), findings=found))


def quiet() -> RunReport:
    """A run whose findings are all suppressed or known."""
    found = (finding(1, suppressed="measured"), finding(2, baseline="known"))
    return sample.run(msgspec.structs.replace(sample.resnet(), findings=found))
