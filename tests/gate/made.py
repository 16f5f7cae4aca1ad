"""Rules, findings and outcomes made by hand."""

from __future__ import annotations

from typing import Any

from convlint.contract import (
    Advice,
    Finding,
    Layer,
    ModelReport,
    Options,
    Rule,
    RuleMeta,
    Saving,
    Severity,
)
from convlint.gate import Outcome
from convlint.ir.nodes import SourceSpan
from convlint.wire import Diagnostic, Failure, FailureKind


class KernelOptions(Options, frozen=True):
    """Options of the rule CL101."""

    min_kernel: int = 5


def rule(code: str, name: str, *, preview: bool = False, options: type[Options] = Options) -> Rule:
    """Return a rule that finds nothing."""
    meta = RuleMeta(
        code=code,
        name=name,
        summary="",
        severity=Severity.INFO,
        exact=True,
        since="0.1",
        preview=preview,
        severity_by_profile={"cpu": Severity.WARNING},
    )
    return Rule(
        meta=meta,
        find=lambda context, options: (),
        guard=lambda context, site, options: None,
        rewrite=lambda context, site, options: (),
        advise=lambda context, sites, options: Advice("", ""),
        doc="",
        folder="",
        options=options,
    )


RULES = (
    rule("CL101", "large-kernel", options=KernelOptions),
    rule("CL301", "dense-conv"),
    rule("CL399", "new-idea", preview=True),
)


def span(line: int, end: int = 0, path: str = "net.py") -> SourceSpan:
    """Return lines of net.py."""
    return SourceSpan(path=path, line=line, end_line=end or line)


def finding(
    code: str = "CL301",
    line: int = 1,
    end: int = 0,
    severity: Severity = Severity.WARNING,
    **more: Any,
) -> Finding:
    """Return a finding on these lines."""
    values: dict[str, Any] = {
        "code": code,
        "name": "",
        "severity": severity,
        "exact": True,
        "message": "",
        "modules": (),
        "location": span(line, end),
        "related": (),
        "saving": Saving(),
        "fingerprint": "",
    }
    return Finding(**(values | more))


def outcome(
    *findings: Finding,
    asked: str = "net.py",
    status: str = "complete",
    kind: FailureKind | None = None,
    lines: tuple[int, ...] = (),
    sources: dict[str, str] | None = None,
    diagnostics: tuple[Diagnostic, ...] = (),
) -> Outcome:
    """Return what became of one model; ``lines`` are where its layers are built."""
    failure = Failure(kind, "it broke") if kind else None
    if failure:
        severity = "error" if status == "failed" else "info"
        diagnostics = (*diagnostics, Diagnostic("CL902", "it broke", severity))  # type: ignore[arg-type]
    layers = tuple(Layer("m", "conv", 0, 0, (), (), None, span(line)) for line in lines)
    report = ModelReport(
        "net.py:Net", status, layers=layers, findings=findings, diagnostics=diagnostics
    )
    return Outcome(asked, report, failure, sources=sources or {})
