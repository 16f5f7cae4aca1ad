"""convlint: reads a PyTorch conv net and says, line by line, where inference work is wasted.

    import convlint
    report = convlint.lint(model, torch.randn(1, 3, 224, 224))
    report.totals.macs, report.findings[0].saving.macs

    faster, report = convlint.apply(model, torch.randn(1, 3, 224, 224))

Everything is loaded when it is first used: ``import convlint`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlint.api import Application, apply, lint
    from convlint.contract import Finding, ModelReport
    from convlint.errors import ConvlintError
    from convlint.sweeping import Candidate, lint_many

__version__ = "0.2.0"

__all__ = [
    "Application",
    "Candidate",
    "ConvlintError",
    "Finding",
    "ModelReport",
    "__version__",
    "apply",
    "lint",
    "lint_many",
]

_HOMES = {
    "Application": "convlint.api",
    "apply": "convlint.api",
    "lint": "convlint.api",
    "Candidate": "convlint.sweeping",
    "lint_many": "convlint.sweeping",
    "Finding": "convlint.contract",
    "ModelReport": "convlint.contract",
    "ConvlintError": "convlint.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
