"""The report as data: the structs of the JSON report (schema_version 1)."""

from __future__ import annotations

from typing import Any

import msgspec

from convlint.contract.severity import Severity
from convlint.cost import OtherOps
from convlint.ir.nodes import SourceSpan
from convlint.wire import Diagnostic, InputSpec

SCHEMA_VERSION = 1


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the report's structs."""


class ArgumentEdit(Struct, frozen=True):
    """A safe edit of the call that builds a layer: a keyword argument and its new value."""

    name: str
    value: str


class Totals(Struct, frozen=True):
    """Counts of a whole model; MACs are those of convolutions and matrix products.

    ``param_bytes`` is the sum of ``weight_bytes`` (by dtype), ``other_ops`` that of
    ``other_ops_by_kind``. ``bytes_read`` and ``activation_bytes`` (written) are what the
    operations move when nothing is fused; the peak is reached in the module ``peak_module``.
    """

    params: int = 0
    macs: int = 0
    param_bytes: int = 0
    activation_bytes: int = 0
    peak_activation_bytes: int = 0
    other_ops: int = 0
    buffer_bytes: int = 0
    bytes_read: int = 0
    weight_bytes: dict[str, int] = {}
    other_ops_by_kind: OtherOps = OtherOps()
    peak_module: str = ""


class After(Struct, frozen=True):
    """The totals with all compatible rewrites made: exact ones only, and all of them."""

    exact: Totals
    all: Totals


class Saving(Struct, frozen=True):
    """Cost of the model minus cost of the rewritten model; negative where it grows.

    ``activation_bytes`` are written, ``bytes_read`` read, when nothing is fused;
    ``other_ops`` are elements or taps; ``kernels`` operations that move bytes.
    """

    macs: int = 0
    params: int = 0
    param_bytes: int = 0
    activation_bytes: int = 0
    macs_percent: float = 0.0
    params_percent: float = 0.0
    bytes_read: int = 0
    other_ops: int = 0
    peak_activation_bytes: int = 0
    kernels: int = 0


class Alternative(Struct, frozen=True):
    """Another way to build the same places, with what it would save."""

    label: str
    saving: Saving


class Related(Struct, frozen=True):
    """Another line that belongs to a finding."""

    path: str
    line: int
    message: str


class SnippetLine(Struct, frozen=True):
    """One line of the code frame around a finding."""

    line: int
    text: str


class Budget(Struct, frozen=True):
    """A limit on a model, kept or broken.

    ``key`` is how the configuration calls it ("max-macs"), ``quantity`` the name of the total it
    limits, ``limit`` its text ("4.2 GMACs", "2%"), ``most`` the most that this allows, ``value``
    what the model has, ``least`` what it has with all exact rewrites made. Where the limit is on
    an increase, ``base`` is what the revision compared with had. Units are those of the quantity:
    MACs, parameters, bytes.
    """

    code: str
    key: str
    quantity: str
    limit: str
    most: int
    value: int
    least: int
    base: int | None = None

    @property
    def over(self) -> int:
        """By how much the limit is broken; 0 or less where it is kept."""
        return self.value - self.most


class Finding(Struct, frozen=True):
    """One finding: a rule at a constructor line, over all modules built there.

    ``module_groups`` is ``modules`` folded: "layer2.*.conv1 x8". ``saving`` is this finding's
    alone; savings of overlapping findings do not add up. ``risk`` is words. ``bound`` is "compute"
    or "memory": what bounds the layers under the profile when nothing is fused, empty where the
    profile does not tell. ``fix`` are arguments to change in the call that the finding points at.
    """

    code: str
    name: str
    severity: Severity
    exact: bool
    message: str
    modules: tuple[str, ...]
    location: SourceSpan | None
    related: tuple[Related, ...]
    saving: Saving
    fingerprint: str
    suppressed: str | None = None
    baseline: str = "new"
    module_groups: tuple[str, ...] = ()
    instead: str = ""
    risk: str = ""
    alternatives: tuple[Alternative, ...] = ()
    snippet: tuple[SnippetLine, ...] = ()
    sites: int = 1
    budget: Budget | None = None
    bound: str = ""
    fix: tuple[ArgumentEdit, ...] = ()


class ReceptiveField(Struct, frozen=True):
    """Receptive field per spatial axis over the paths; ``max`` is None where infinite."""

    min: tuple[float, ...] | None
    max: tuple[float, ...] | None


class Layer(Struct, frozen=True):
    """One node of the model that holds parameters or MACs, in execution order.

    Bytes are those of this call: ``bytes_read`` includes the weights, whoever used them before.
    """

    module: str
    kind: str
    params: int
    macs: int
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    receptive_field: ReceptiveField | None
    location: SourceSpan | None
    activation_bytes: int = 0
    call: int = 1
    bytes_read: int = 0
    param_bytes: int = 0
    buffer_bytes: int = 0
    other_ops: int = 0


class Refused(Struct, frozen=True):
    """A place a rule matched and left alone, with the reason; ``at`` are the modules at fault."""

    code: str
    name: str
    module: str
    reason: str
    at: tuple[str, ...] = ()


class Step(Struct, frozen=True):
    """One exact rewrite in the order they are made: ``totals`` are the model's after it.

    ``module_groups`` is ``modules`` folded, as in a finding.
    """

    code: str
    name: str
    modules: tuple[str, ...]
    totals: Totals
    module_groups: tuple[str, ...] = ()


class Check(Struct, frozen=True):
    """What became of one rule: how many places it looked at, and whether it crashed.

    A rule that looked at places and has no finding passed; one without a place does not apply.
    """

    code: str
    places: int = 0
    crashed: bool = False


class ModelReport(Struct, frozen=True):
    """Everything convlint says about one model.

    ``base`` are the totals of the same model in the revision compared with, None where there is
    none or the model is new; ``budgets`` are the limits declared for it, kept ones too.
    ``steps`` are the exact rewrites in the order they are made; ``checks`` one a rule that ran.
    ``outputs`` are the outputs that are read, as they were named, empty where all are;
    ``unread_outputs`` the tensors of the others.
    """

    target: str
    status: str
    inputs: tuple[InputSpec, ...] = ()
    totals: Totals = Totals()
    after: After = After(exact=Totals(), all=Totals())
    layers: tuple[Layer, ...] = ()
    findings: tuple[Finding, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    refusals: tuple[Refused, ...] = ()
    expression: str = ""
    steps: tuple[Step, ...] = ()
    checks: tuple[Check, ...] = ()
    base: Totals | None = None
    budgets: tuple[Budget, ...] = ()
    outputs: tuple[str, ...] = ()
    unread_outputs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form as plain builtins."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result


class Tool(Struct, frozen=True):
    """Who wrote the report."""

    name: str
    version: str


class RuleInfo(Struct, frozen=True):
    """A rule that ran, for the report's list of what was checked.

    ``at_size`` and ``done_by`` are those of :class:`RuleMeta`; ``severity`` is the one it ran with.
    """

    code: str
    name: str
    summary: str
    exact: bool
    at_size: bool = False
    done_by: tuple[str, ...] = ()
    severity: Severity = Severity.WARNING


class Summary(Struct, frozen=True):
    """The last line: how much was looked at and what came of it.

    ``findings`` are all that are not suppressed, ``errors``, ``warnings`` and ``infos`` of them,
    and so are ``new`` and ``known``: only new ones count for the exit code. ``stale`` are entries
    of the baseline that nothing matches any more.
    """

    models: int = 0
    failed: int = 0
    layers: int = 0
    findings: int = 0
    errors: int = 0
    warnings: int = 0
    infos: int = 0
    suppressed: int = 0
    exit_code: int = 0
    new: int = 0
    known: int = 0
    stale: int = 0


class RunReport(Struct, frozen=True):
    """The whole run: the JSON report.

    ``base`` names what it was compared with (a git revision), "" where it was not; ``baseline``
    is the file of the findings that are known, "" where there is none.
    """

    schema_version: int
    tool: Tool
    models: tuple[ModelReport, ...]
    summary: Summary = Summary()
    profile: str = "generic"
    rules: tuple[RuleInfo, ...] = ()
    base: str = ""
    baseline: str = ""
