"""Two reports told apart: totals, layers added, removed and changed, findings new and fixed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence

import msgspec

from convlint import errors
from convlint.contract import Finding, Layer, ModelReport, RunReport, Saving, Severity, Tool, Totals
from convlint.gate.base import pair
from convlint.gate.baseline import Entry, entry_of
from convlint.gate.known import mark
from convlint.gate.outcome import Outcome
from convlint.ir.nodes import SourceSpan
from convlint.settings import FailLevel

SCHEMA_VERSION = 1
READ = ("complete", "partial")
Shapes = tuple[tuple[int, ...], ...]
_Key = Callable[[Layer], object]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the structs of a comparison."""


class LayerState(Struct, frozen=True):
    """What a layer was or is."""

    module: str
    kind: str
    macs: int
    params: int
    input_shapes: Shapes
    output_shapes: Shapes


class LayerChange(Struct, frozen=True):
    """One layer that is not as it was: "added", "removed", "changed" or "moved".

    A moved layer is the same under another module path. ``base`` and ``head`` are None where
    there is none.
    """

    change: str
    base: LayerState | None
    head: LayerState | None


class Told(Struct, frozen=True):
    """A finding that is new or fixed."""

    code: str
    name: str
    severity: Severity
    message: str
    modules: tuple[str, ...]
    location: SourceSpan | None
    saving: Saving
    fingerprint: str


class ModelComparison(Struct, frozen=True):
    """One model then and now. ``status`` is "same", "changed", "new", "removed" or "failed".

    ``base_target`` is what it was called then, where that differs; ``known`` findings are in
    both. ``same_layers`` is how many layers are as they were. ``problems`` are the reasons why
    a side could not be read, or was read in part.
    """

    target: str
    status: str
    base: Totals | None = None
    head: Totals | None = None
    base_target: str = ""
    layers: tuple[LayerChange, ...] = ()
    same_layers: int = 0
    new: tuple[Told, ...] = ()
    fixed: tuple[Told, ...] = ()
    known: int = 0
    problems: tuple[str, ...] = ()


class Counts(Struct, frozen=True):
    """The last line of a comparison."""

    models: int = 0
    changed: int = 0
    new: int = 0
    fixed: int = 0
    known: int = 0
    failed: int = 0
    exit_code: int = 0


class Comparison(Struct, frozen=True):
    """Two states of the models: the JSON form of ``convlint compare``."""

    schema_version: int
    tool: Tool
    base: str
    head: str
    models: tuple[ModelComparison, ...]
    summary: Counts = Counts()


def compare(
    base: RunReport, head: RunReport, names: tuple[str, str], fail_level: FailLevel
) -> Comparison:
    """Return how ``head`` differs from ``base``; ``names`` is what they are called.

    Raises UsageError where neither side has a model. The exit code in the summary is 2 where a model of the head could not be read, or a rule
    crashed; 1 where a finding at or above ``fail_level`` is new; else 0.
    """
    models = tuple(_model(old, new) for old, new in pair(base.models, head.models))
    if not models:
        raise errors.UsageError("there is no model on either side", where=" and ".join(names))
    new = [finding for model in models for finding in model.new]
    failed = sum(model.status == "failed" for model in models)
    not_done = failed or any(
        word.severity == "error" for model in head.models for word in model.diagnostics
    )
    reached = any(fail_level.reached_by(finding.severity) for finding in new)
    summary = Counts(
        models=len(models),
        changed=sum(model.status not in ("same", "failed") for model in models),
        new=len(new),
        fixed=sum(len(model.fixed) for model in models),
        known=sum(model.known for model in models),
        failed=failed,
        exit_code=2 if not_done else int(reached),
    )
    return Comparison(SCHEMA_VERSION, head.tool, *names, models, summary)


def _model(old: ModelReport | None, new: ModelReport | None) -> ModelComparison:
    now = new if new is not None and new.status in READ else None
    was = old if old is not None and old.status in READ else None
    target = new.target if new is not None else old.target if old is not None else ""
    layers = tuple(_layers(was.layers if was else (), now.layers if now else ()))
    changes = tuple(change for change in layers if change.change != "same")
    findings = _findings(was, now, target)
    compared = was is not None and now is not None
    return ModelComparison(
        target=target,
        status=_status(new, changes, was, now),
        base=was.totals if was else None,
        head=now.totals if now else None,
        base_target=old.target if old is not None and old.target != target else "",
        layers=changes if compared else (),
        same_layers=len(layers) - len(changes),
        new=findings[0],
        fixed=findings[1] if new is None or now else (),
        known=findings[2],
        problems=(*_problems("base", old), *_problems("head", new)),
    )


def _status(
    new: ModelReport | None,
    changes: Sequence[LayerChange],
    was: ModelReport | None,
    now: ModelReport | None,
) -> str:
    if new is None:
        return "removed"
    if now is None:
        return "failed"
    if was is None:
        return "new"
    return "changed" if changes or was.totals != now.totals else "same"


def _problems(side: str, model: ModelReport | None) -> Iterator[str]:
    if model is not None and model.status != "complete":
        words = [word.message for word in model.diagnostics if word.severity != "info"]
        text = " ".join(words[0].split()) if words else model.status
        yield f"{side}: {text}"


# --- findings ------------------------------------------------------------------------------


def _findings(
    was: ModelReport | None, now: ModelReport | None, target: str
) -> tuple[tuple[Told, ...], tuple[Told, ...], int]:
    """Return what is new, what is fixed, and how many are known; one that grew is new."""
    old = [finding for finding in was.findings if finding.suppressed is None] if was else []
    entries = [entry_of(target, finding) for finding in old]
    head = now or ModelReport(target, "complete")
    fresh = tuple(msgspec.structs.replace(f, baseline="new") for f in head.findings)
    marked = mark([Outcome(target, msgspec.structs.replace(head, findings=fresh))], entries)
    live = [f for f in marked.outcomes[0].report.findings if f.suppressed is None]
    new = [finding for finding in live if finding.baseline == "new"]
    left = {id(entry) for entry in marked.left}
    grown = [entry_of(target, finding) for finding in new]
    fixed = [
        finding
        for finding, entry in zip(old, entries, strict=True)
        if id(entry) in left and not any(_overlap(entry, other) for other in grown)
    ]
    return tuple(map(_told, new)), tuple(map(_told, fixed)), len(live) - len(new)


def _overlap(entry: Entry, now: Entry) -> bool:
    shared = set(entry.modules) & set(now.modules) or entry.modules == now.modules
    return entry.code == now.code and bool(shared)


def _told(finding: Finding) -> Told:
    return Told(
        code=finding.code,
        name=finding.name,
        severity=finding.severity,
        message=finding.message,
        modules=finding.modules,
        location=finding.location,
        saving=finding.saving,
        fingerprint=finding.fingerprint,
    )


# --- layers --------------------------------------------------------------------------------


def _layers(was: Sequence[Layer], now: Sequence[Layer]) -> Iterator[LayerChange]:
    """Yield each layer of both with what became of it, in execution order of ``now``.

    A layer is the one of the same path and kind that costs the same; then the one that stands
    in the same place among equal shapes; then the one of the same path, changed.
    """
    pairs: dict[int, int] = {}
    _match(was, now, pairs, lambda layer: (_name(layer), _cost(layer)))
    _match_in_order(was, now, pairs)
    _match(was, now, pairs, _name)
    taken = set(pairs.values())
    for place, layer in enumerate(was):
        if place not in taken:
            yield LayerChange("removed", _state(layer), None)
    for place, layer in enumerate(now):
        old = was[pairs[place]] if place in pairs else None
        before = _state(old) if old is not None else None
        yield LayerChange(_change(old, layer), before, _state(layer))


def _match(was: Sequence[Layer], now: Sequence[Layer], pairs: dict[int, int], key: _Key) -> None:
    """Pair the layers that are not paired yet and have the same key, in order."""
    taken = set(pairs.values())
    free: dict[object, list[int]] = {}
    for place, layer in enumerate(was):
        if place not in taken:
            free.setdefault(key(layer), []).append(place)
    for place, layer in enumerate(now):
        if place not in pairs and free.get(key(layer)):
            pairs[place] = free[key(layer)].pop(0)


def _match_in_order(was: Sequence[Layer], now: Sequence[Layer], pairs: dict[int, int]) -> None:
    """Pair the rest by the longest common sequences of equal cost and shapes."""
    taken = set(pairs.values())
    old = [place for place in range(len(was)) if place not in taken]
    new = [place for place in range(len(now)) if place not in pairs]
    left, right = [_cost(was[place]) for place in old], [_cost(now[place]) for place in new]
    for block in difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            pairs[new[block.b + step]] = old[block.a + step]


def _change(old: Layer | None, new: Layer) -> str:
    if old is None:
        return "added"
    if _cost(old) != _cost(new):
        return "changed"
    return "same" if _name(old) == _name(new) else "moved"


def _name(layer: Layer) -> object:
    return layer.module, layer.kind, layer.call


def _cost(layer: Layer) -> object:
    shapes = layer.input_shapes, layer.output_shapes
    return layer.kind, shapes, layer.macs, layer.params


def _state(layer: Layer) -> LayerState:
    return LayerState(
        module=layer.module,
        kind=layer.kind,
        macs=layer.macs,
        params=layer.params,
        input_shapes=layer.input_shapes,
        output_shapes=layer.output_shapes,
    )
