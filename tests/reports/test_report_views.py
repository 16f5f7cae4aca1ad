"""What the pages show, before it is markup: folds, steps, checks, refusals, limits."""

from __future__ import annotations

import msgspec
import pytest
from convlint_reports import blocks, checks, savings
from convlint_reports.waterfall import waterfall

from convlint.contract import Check, Finding, Layer, RuleInfo, Saving, Step, Totals
from convlint.wire import Diagnostic
from tests.reports import sample

replace = msgspec.structs.replace


def layers(*names: str, wide: tuple[str, ...] = ()) -> list[Layer]:
    """Layers that are alike but for their names; those in ``wide`` have other costs."""
    return [sample.conv(name, 8, 16 if name in wide else 8, 3, 8, 1, 1) for name in names]


def named(found) -> list[tuple[str, tuple[int, ...]]]:
    """Folds as (name, rows)."""
    return [(fold.name, fold.rows) for fold in found]


def test_blocks_that_are_alike_fold_part_by_part() -> None:
    """Each part of the block is one row."""
    found = blocks.folded(layers("stem", "b.0.conv", "b.0.norm", "b.1.conv", "b.1.norm", "head"))
    assert named(found) == [("b.0-1.conv x2", (1, 3)), ("b.0-1.norm x2", (2, 4))]


def test_only_neighbours_with_following_numbers_fold() -> None:
    """Another width, a gap in the numbers or another path ends a run."""
    assert blocks.folded(layers("b.0", "b.2")) == ()
    assert blocks.folded(layers("b.0", "c.1")) == ()
    assert blocks.folded(layers("b.0", "b.1", wide=("b.1",))) == ()
    found = blocks.folded(layers("b.0", "b.1", "b.2", "b.3", wide=("b.0",)))
    assert named(found) == [("b.1-3 x3", (1, 2, 3))]


def test_blocks_inside_blocks_fold() -> None:
    """Stages differ, their blocks do not."""
    names = ("s.0.b.0", "s.0.b.1", "s.1.b.0", "s.1.b.1")
    found = blocks.folded(layers(*names, wide=("s.1.b.0", "s.1.b.1")))
    assert named(found) == [("s.0.b.0-1 x2", (0, 1)), ("s.1.b.0-1 x2", (2, 3))]


def test_odd_names_do_not_fold_by_accident() -> None:
    """Numbers of another script, huge numbers and the root are names like any other."""
    assert blocks.folded(layers("", "")) == ()
    assert blocks.folded(layers("b.\u0661", "b.\u0662")) == ()
    assert blocks.folded(layers("b." + "9" * 40, "b." + "9" * 40)) == ()


def stepped() -> object:
    """A model with two exact steps: one saves MACs, one costs some and saves parameters."""
    model = sample.resnet()
    first = replace(model.totals, macs=3_000_000_000)
    second = replace(first, macs=3_100_000_000, params=20_000_000)
    after = replace(model.after, exact=second)
    steps = (
        Step("CL401", "pool-after-pointwise", ("a.0", "a.1"), first, ("a.* x2",)),
        Step("CL405", "wide-concat", ("b",), second),
    )
    return replace(model, steps=steps, after=after)


def test_the_waterfall_adds_up() -> None:
    """Every bar begins where the last one ended; the last row is the sum of all steps."""
    falls = waterfall(stepped())
    assert [bar.css for bar in falls.bars] == ["whole", "less", "more", "whole"]
    assert [bar.label for bar in falls.bars] == [
        "Now", "CL401 pool-after-pointwise", "CL405 wide-concat", "After exact rewrites",
    ]  # fmt: skip
    assert falls.bars[1].modules == "a.* x2"
    edges = [(float(b.left[:-1]), float(b.left[:-1]) + float(b.width[:-1])) for b in falls.bars]
    now, less, more, then = edges
    assert less[1] == pytest.approx(now[1], abs=0.1)
    assert more[0] == pytest.approx(less[0], abs=0.1)
    assert then[1] == pytest.approx(more[1], abs=0.1)
    assert falls.bars[2].cells[0] == ("3.10 G", "+3.3\u00a0%", "more")
    assert falls.bars[3].cells[1] == ("20.0 M", "−21.7\u00a0%", "less")
    assert falls.quantity == "MACs" and falls.low == "0 MACs"


def test_the_waterfall_of_small_savings_says_where_its_axis_begins() -> None:
    """A saving of 2 % is still to be seen, and the axis does not pretend to begin at 0."""
    falls = waterfall(sample.resnet())
    assert [bar.label for bar in falls.bars][1] == "CL401, CL406 all exact rewrites"
    assert falls.low == "3.78 GMACs"
    assert float(falls.bars[1].width[:-1]) == pytest.approx(25, abs=0.5)


def test_without_an_exact_rewrite_there_is_no_waterfall() -> None:
    """Nothing changed, nothing shown."""
    assert waterfall(sample.clean()) is None and waterfall(sample.failed()) is None


def test_rules_are_told_apart_by_what_became_of_them() -> None:
    """Passed, without a place, crashed; a rule with a finding is in none of the lists."""
    rules = {code: RuleInfo(code, f"name-{code}", "s", True) for code in "ABCDE"}
    crash = Diagnostic("CL903", "rule D name-D crashed and was left out: ValueError: x", "error")
    finding = replace(sample.DENSE, code="A")
    model = replace(
        sample.resnet(),
        findings=(finding,),
        diagnostics=(crash,),
        checks=(Check("A", 3), Check("B", 2), Check("C", 0), Check("D", 0, True), Check("E", 1)),
    )
    folds = checks.folds(model, rules)
    assert [(fold.title, [rule.code for rule in fold.rules]) for fold in folds] == [
        ("Failed to run", ["D"]), ("Checked and passed", ["B", "E"]), ("Did not apply", ["C"]),
    ]  # fmt: skip
    assert folds[0].rules[0].words == crash.message
    assert folds[1].rules[0].words == "looked at 2 places"
    assert checks.folds(sample.failed(), rules) == ()


def test_places_left_alone_are_grouped_by_reason() -> None:
    """One row a rule and reason, its modules counted."""
    refusals = [sample.Refused("CL301", "dense-conv", f"m{i}", "a stem") for i in range(9)]
    refusals.append(sample.Refused("CL301", "dense-conv", "", "too narrow"))
    first, second = checks.left_alone(refusals)
    assert (first.reason, first.count) == ("a stem", 9)
    assert first.modules.endswith("m5 and 3 more")
    assert second.modules == "(root)"


def saving(**amounts: int) -> Finding:
    """A finding that saves this."""
    return replace(sample.DENSE, saving=Saving(**amounts))


def test_a_saving_is_told_in_what_it_saves() -> None:
    """Bytes read, kernels and other operations where nothing else is saved."""
    assert savings.words(Saving(kernels=1)) == "1 kernel"
    assert savings.words(Saving(kernels=3, other_ops=2000)) == (
        "2.00 k other operations, 3 kernels"
    )
    assert savings.words(Saving(macs=10, kernels=3, macs_percent=1)) == "10 MACs (1.0 %)"
    assert savings.words(Saving(peak_activation_bytes=2048)) == "2.00 KiB of peak memory"


def test_what_falls_together_is_told_in_the_first_quantity_that_does() -> None:
    """MACs, else what else falls."""
    model = sample.resnet()
    same = replace(model.after, exact=replace(model.totals, activation_bytes=40_000_000))
    words = savings.together(replace(model, after=same))
    assert "1 exact, together -3.81 MiB of activations (-9.1 %)" in words
    assert savings.combined(replace(model, after=replace(model.after, exact=Totals()))) == ""


def test_a_finding_is_headed_by_the_saving_that_counts() -> None:
    """A thousandth of the parameters says less than 7 % of the activations."""
    totals = Totals(params=28_000_000, macs=4_000_000_000, activation_bytes=112_000_000)
    tiny = Saving(params=6_000, params_percent=0.02, activation_bytes=8_000_000)
    assert savings.main(tiny, totals) == "7.63 MiB of activations (7.1 %)"
    both = Saving(macs=40_000_000, macs_percent=1.0, activation_bytes=80_000_000)
    assert savings.main(both, totals) == "40.0 MMACs (1.0 %)"
    assert savings.main(Saving(kernels=2), totals) == "2 kernels"
    assert savings.main(Saving(macs=-5), totals) == ""
