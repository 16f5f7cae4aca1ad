"""What a rule and a report must be, and the report as data.

A rule is a folder with a ``rule.py`` that holds ``RULE = contract.Rule(...)``: pure
functions of (Context, options). A report is a :class:`ReportFormat`: a function from
:class:`RunReport` to text. Rules and reports import from here; the parts are :mod:`.rule`,
:mod:`.report` (the structs of the JSON report) and :mod:`.format`.
"""

from convlint.contract.format import (
    ReportFormat,
    View,
)
from convlint.contract.report import (
    SCHEMA_VERSION,
    After,
    Alternative,
    ArgumentEdit,
    Budget,
    Check,
    Finding,
    Layer,
    ModelReport,
    ReceptiveField,
    Refused,
    Related,
    RuleInfo,
    RunReport,
    Saving,
    SnippetLine,
    Step,
    Struct,
    Summary,
    Tool,
    Totals,
)
from convlint.contract.rule import (
    Advice,
    Context,
    Options,
    Place,
    Refusal,
    Rewrite,
    Rule,
    RuleMeta,
    Site,
    place_of,
)
from convlint.contract.severity import (
    Severity,
)

__all__ = [
    "SCHEMA_VERSION",
    "Advice",
    "After",
    "Alternative",
    "ArgumentEdit",
    "Budget",
    "Check",
    "Context",
    "Finding",
    "Layer",
    "ModelReport",
    "Options",
    "Place",
    "ReceptiveField",
    "Refusal",
    "Refused",
    "Related",
    "ReportFormat",
    "Rewrite",
    "Rule",
    "RuleInfo",
    "RuleMeta",
    "RunReport",
    "Saving",
    "Severity",
    "Site",
    "SnippetLine",
    "Step",
    "Struct",
    "Summary",
    "Tool",
    "Totals",
    "View",
    "place_of",
]
