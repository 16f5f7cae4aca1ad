"""The reports that ship with convlint: one module a format.

A module that holds ``REPORT = contract.ReportFormat(...)`` is a report; nothing lists it. A
module whose name starts with an underscore is never looked at here, so it may import what is
slow to load (rich, Jinja2): the reports import those only while they render.
"""

from __future__ import annotations

import importlib
import pkgutil

from convlint import contract


def reports() -> tuple[contract.ReportFormat, ...]:
    """Return every report of this package, sorted by name."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [getattr(module, "REPORT", None) for module in modules]
    return tuple(report for report in found if isinstance(report, contract.ReportFormat))
