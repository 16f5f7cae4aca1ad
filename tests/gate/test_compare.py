"""Two reports told apart: layers by path and by shape, findings new, fixed and known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlint import gate
from convlint.contract import (
    Finding,
    Layer,
    ModelReport,
    RunReport,
    Saving,
    Severity,
    Tool,
    Totals,
)
from convlint.errors import UsageError
from convlint.gate.compare import ModelComparison
from convlint.settings import FailLevel
from convlint.wire import Diagnostic
from tests.gate.made import finding

Shape = tuple[int, ...]


def layer(module: str, width: int = 8, kind: str = "conv", call: int = 1) -> Layer:
    """Return a layer whose cost follows from its width."""
    shape: Shape = (1, width, 4, 4)
    return Layer(module, kind, width, 16 * width, (shape,), (shape,), None, None, call=call)


def model(
    *layers: Layer,
    target: str = "net.py:Net",
    findings: tuple[Finding, ...] = (),
    status: str = "complete",
) -> ModelReport:
    """Return a model with these layers, its totals their sums."""
    totals = Totals(macs=sum(x.macs for x in layers), params=sum(x.params for x in layers))
    return ModelReport(target, status, totals=totals, layers=layers, findings=findings)


def run(*models: ModelReport) -> RunReport:
    """Return a run of these models."""
    return RunReport(1, Tool("convlint", "0"), models)


def compare(
    base: ModelReport | None, head: ModelReport | None, level: FailLevel = FailLevel.WARNING
) -> ModelComparison:
    """Return what became of the one model."""
    sides = (run(*([side] if side else [])) for side in (base, head))
    (told,) = gate.compare(*sides, ("then", "now"), level).models  # type: ignore[call-arg, misc]
    return told


def changes(base: tuple[Layer, ...], head: tuple[Layer, ...]) -> list[tuple[str, str, str]]:
    """Return (change, old path, new path) of the layers that are not as they were."""
    return [
        (c.change, c.base.module if c.base else "", c.head.module if c.head else "")
        for c in compare(model(*base), model(*head)).layers
    ]


def test_equal_layers_are_the_same() -> None:
    """Nothing changed is nothing told."""
    told = compare(model(layer("a"), layer("b")), model(layer("a"), layer("b")))
    assert (told.status, told.layers, told.same_layers) == ("same", (), 2)


def test_a_width_that_changed_is_a_change_of_that_layer() -> None:
    """The same path with other costs is changed, not removed and added."""
    found = changes((layer("a"), layer("b")), (layer("a"), layer("b", 16)))
    assert found == [("changed", "b", "b")]


def test_layers_come_and_go() -> None:
    """What has no other is added or removed."""
    assert changes((layer("a"),), (layer("a"), layer("b", 9))) == [("added", "", "b")]
    assert changes((layer("a"), layer("b", 9)), (layer("a"),)) == [("removed", "b", "")]


def test_a_renamed_layer_is_found_by_its_shapes() -> None:
    """A layer under another path in the same place of the sequence has moved."""
    found = changes((layer("conv1", 3), layer("conv2", 5)), (layer("stem", 3), layer("conv2", 5)))
    assert found == [("moved", "conv1", "stem")]


def test_a_layer_put_into_a_sequential_moves_the_rest() -> None:
    """Numbers shift behind an insertion; only the insertion is new."""
    was = tuple(layer(f"net.{n}", 2 + n) for n in range(4))
    now = (
        layer("net.0", 2),
        layer("net.1", 99),
        *(layer(f"net.{n + 1}", 2 + n) for n in (1, 2, 3)),
    )
    found = changes(was, now)
    assert [change for change, _, _ in found] == ["added", "moved", "moved", "moved"]


def test_calls_of_a_shared_layer_are_told_apart() -> None:
    """The second call of a module is a layer of its own."""
    twice = (layer("a"), layer("a", call=2))
    assert changes(twice, twice) == []
    assert changes(twice, twice[:1]) == [("removed", "a", "")]


def test_findings_are_new_fixed_or_known() -> None:
    """One that grew is new and not fixed as well; what a comment suppresses is none."""

    def found(macs: int, module: str, **more: Any) -> Finding:
        return finding(modules=(module,), saving=Saving(macs=macs), fingerprint=module, **more)

    was = model(layer("a"), findings=(found(5, "kept"), found(5, "gone"), found(5, "grows")))
    now = model(
        layer("a"),
        findings=(
            found(5, "kept"),
            found(9, "grows"),
            found(1, "new"),
            found(1, "x", suppressed="x"),
        ),
    )
    told = compare(was, now)
    assert sorted(f.modules[0] for f in told.new) == ["grows", "new"]
    assert [f.modules[0] for f in told.fixed] == ["gone"]
    assert told.known == 1


def test_what_the_report_called_known_is_judged_anew() -> None:
    """A baseline that the head was checked with plays no part."""
    now = model(findings=(finding(fingerprint="f", baseline="known"),))
    assert len(compare(model(), now).new) == 1


@pytest.mark.parametrize(
    ("severity", "level", "code"),
    [
        (Severity.WARNING, FailLevel.WARNING, 1),
        (Severity.INFO, FailLevel.WARNING, 0),
        (Severity.INFO, FailLevel.INFO, 1),
        (Severity.ERROR, FailLevel.NONE, 0),
    ],
)
def test_new_findings_decide_the_exit_code(severity: Severity, level: FailLevel, code: int) -> None:
    """Only new ones, from the level on."""
    now = run(model(findings=(finding(severity=severity),)))
    assert gate.compare(run(model()), now, ("a", "b"), level).summary.exit_code == code
    assert gate.compare(now, now, ("a", "b"), level).summary.exit_code == 0


def test_a_model_that_cannot_be_read_any_more_is_two() -> None:
    """A head that failed is not done; a base that failed is told, and all is new."""
    broken = model(status="failed")
    broken = msgspec.structs.replace(broken, diagnostics=(Diagnostic("CL902", "boom", "error"),))
    told = gate.compare(run(model()), run(broken), ("a", "b"), FailLevel.WARNING)
    assert (told.models[0].status, told.summary.exit_code) == ("failed", 2)
    assert told.models[0].problems == ("head: boom",)
    assert told.models[0].fixed == ()
    back = gate.compare(run(broken), run(model()), ("a", "b"), FailLevel.WARNING)
    assert (back.models[0].status, back.summary.exit_code) == ("new", 0)
    assert back.models[0].problems == ("base: boom",)


def test_models_pair_by_target_then_name_then_file() -> None:
    """A renamed file and changed arguments keep a model; two candidates are not guessed at."""

    def pairs(base: list[str], head: list[str]) -> list[tuple[str | None, str | None]]:
        found = gate.pair([model(target=t) for t in base], [model(target=t) for t in head])
        return [(a.target if a else None, b.target if b else None) for a, b in found]

    assert pairs(["a.py:A", "b.py:B"], ["b.py:B", "c.py:A"]) == [
        ("b.py:B", "b.py:B"),
        ("a.py:A", "c.py:A"),
    ]
    assert pairs(["a.py:A(1)", "b.py:B"], ["a.py:A(2)", "b.py:B"])[0] == ("a.py:A(1)", "a.py:A(2)")
    assert pairs(["x.py:A", "y.py:A"], ["z.py:A"]) == [
        (None, "z.py:A"),
        ("x.py:A", None),
        ("y.py:A", None),
    ]
    assert pairs(["a.py:A"], ["b.py:B"]) == [("a.py:A", "b.py:B")]


def test_nothing_on_either_side_is_an_error() -> None:
    """A comparison of no models is not a pass."""
    with pytest.raises(UsageError, match="no model on either side"):
        gate.compare(run(), run(), ("a", "b"), FailLevel.WARNING)


layers = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 3)), max_size=8)


@given(layers, layers)
def test_the_changes_account_for_every_layer(
    was: list[tuple[str, int]], now: list[tuple[str, int]]
) -> None:
    """Each layer of both sides is told exactly once, and the costs add up."""
    base = model(*(layer(name, width, call=n) for n, (name, width) in enumerate(was)))
    head = model(*(layer(name, width, call=n) for n, (name, width) in enumerate(now)))
    told = compare(base, head)
    old = [c.base.macs for c in told.layers if c.base]
    new = [c.head.macs for c in told.layers if c.head]
    assert len(old) + told.same_layers == len(was)
    assert len(new) + told.same_layers == len(now)
    assert sum(new) - sum(old) == head.totals.macs - base.totals.macs
    assert (told.status == "same") == (not told.layers)
