"""The parts that the reports share: numbers, frames, treemap, order, words."""

from __future__ import annotations

import msgspec
import pytest
from convlint_reports import modules, numbers, savings, words
from convlint_reports.frame import frame
from convlint_reports.savings import Section
from convlint_reports.treemap import Rect, squarify

from convlint.contract import Finding, ReceptiveField, Saving, SnippetLine
from convlint.ir.nodes import SourceSpan
from tests.reports import sample


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (999, "999"), (1000, "1.00 k"), (9995, "10.0 k"), (99_950, "100 k"),
        (999_499, "999 k"), (999_500, "1.00 M"), (25_557_032, "25.6 M"),
        (4_089_284_608, "4.09 G"), (-3_400_000, "-3.40 M"), (10**22, "10000 E"),
    ],
)  # fmt: skip
def test_three_significant_digits(value: int, shown: str) -> None:
    """Three significant digits."""
    assert numbers.si(value) == shown


def test_units() -> None:
    """Units."""
    assert numbers.macs(512) == "512 MACs" and numbers.macs(4_089_284_608) == "4.09 GMACs"
    assert numbers.size(1023) == "1023 B" and numbers.size(102_228_128) == "97.5 MiB"
    assert numbers.shape((1, 3, 8)) == "1x3x8" and numbers.shape(()) == "scalar"
    assert numbers.field(ReceptiveField((1, 1), (7, 11))) == "7x11"
    assert numbers.field(ReceptiveField(None, None)) == "∞" and numbers.field(None) == "–"


def test_changes() -> None:
    """Changes."""
    assert numbers.change(0, 0) == "same" and numbers.change(0, 5) == "new"
    assert numbers.change(200, 100) == "-50.0 %" and numbers.change(100, 102) == "+2.0 %"
    assert numbers.change(10**6, 10**6 - 1) == "<0.1 % less"
    assert numbers.percent(0.01) == "<0.1 %" and numbers.percent(0) == "0.0 %"


@pytest.mark.parametrize("values", [[1.0], [5.0, 3.0, 1.0], [1.0, 9.0, 0.0, 4.0], [1e9, 1.0, 1.0]])
def test_treemap_areas_are_the_values_inside_the_area(values: list[float]) -> None:
    """Treemap areas are the values inside the area."""
    rects = squarify(values, Rect(10, 20, 600, 300))
    for value, rect in zip(values, rects, strict=True):
        assert rect.width * rect.height == pytest.approx(180_000 * value / sum(values), abs=1e-6)
        assert rect.x >= 10 - 1e-6 and rect.x + rect.width <= 610 + 1e-6
        assert rect.y >= 20 - 1e-6 and rect.y + rect.height <= 320 + 1e-6


def test_treemap_of_nothing() -> None:
    """Treemap of nothing."""
    assert squarify([], Rect(0, 0, 1, 1)) == []
    assert squarify([0.0], Rect(0, 0, 1, 1)) == [Rect(0, 0, 0, 0)]


def at(span: SourceSpan | None, *texts: str) -> Finding:
    """A finding with this frame, its lines counted from 10."""
    lines = tuple(SnippetLine(10 + i, text) for i, text in enumerate(texts))
    return msgspec.structs.replace(sample.DENSE, location=span, snippet=lines)


def test_frame_marks_a_span_of_one_line() -> None:
    """Frame marks a span of one line."""
    (line,) = frame(at(SourceSpan("m.py", 10, 9, 10, 13), "    x = conv, y"))
    assert (line.before, line.marked, line.after) == ("x = ", "conv", ", y")


def test_frame_marks_a_span_of_several_lines() -> None:
    """Frame marks a span of several lines."""
    lines = frame(at(SourceSpan("m.py", 10, 5, 12, 2), "x = f(", "    1,", ") + y", "z"))
    assert [line.marked for line in lines] == ["f(", "1,", ")", ""]


def test_frame_expands_tabs_and_survives_odd_columns() -> None:
    """Frame expands tabs and survives odd columns."""
    (line,) = frame(at(SourceSpan("m.py", 10, 3, 10, 99), "\t\tf()"))
    assert (line.before, line.marked) == ("", "f()")
    (line,) = frame(at(SourceSpan("m.py", 10, 50, 10, 2), "f()"))
    assert line.text == "f()"
    (line,) = frame(at(None, "f()"))
    assert line.marked == ""


def test_findings_are_ordered_by_saving_and_sorted_into_sections() -> None:
    """Findings are ordered by saving and sorted into sections."""
    live = savings.live(sample.resnet().findings)
    assert [f.code for f in live] == ["CL301", "CL401", "CL501"]
    assert [savings.section(f) for f in live] == [Section.RETRAIN, Section.EXACT, Section.NOTE]
    assert [f.code for f in savings.silent(sample.resnet().findings)] == ["CL406"]


def test_saving_in_words() -> None:
    """Saving in words."""
    assert savings.words(Saving(1000, 0, 0, -2048, 5.0)) == (
        "1.00 kMACs (5.0 %); adds 2.00 KiB of activations"
    )
    assert savings.words(Saving()) == "nothing that is counted"


def test_verdicts() -> None:
    """Verdicts."""
    assert savings.together(sample.resnet()) == (
        "3 findings: 1 exact, together -77.1 MMACs (-1.9 %); 1 needs retraining; 1 note"
    )
    assert savings.together(sample.failed()) == "could not be read"
    assert savings.together(sample.clean()) == "nothing found to save"


def test_parts_are_children_of_the_common_ancestor() -> None:
    """Parts are children of the common ancestor."""
    layers = [sample.conv(n, 1, 1, 1, 1, 1, 1) for n in ("net.stem", "net.body.0", "net.body.1")]
    assert [part.name for part in modules.parts(layers)] == ["net.stem", "net.body"]
    assert [part.name for part in modules.parts(layers[1:])] == ["net.body.0", "net.body.1"]
    root = sample.conv("", 1, 1, 1, 1, 1, 1)
    assert [part.name for part in modules.parts([root, layers[0]])] == ["(root)", "net"]


def test_cleaning_keeps_newlines_only_where_words_have_them() -> None:
    """Cleaning keeps newlines only where words have them."""
    model = msgspec.structs.replace(sample.failed(), target="a\nb\u202e\x1b[0m")
    cleaned = words.cleaned(sample.run(model)).models[0]
    assert cleaned.target == "a\\nb\\u202e\\x1b[0m"
    assert "\n" in cleaned.diagnostics[0].message


def test_cleaning_a_clean_report_changes_nothing() -> None:
    """Cleaning a clean report changes nothing."""
    run = sample.run(sample.resnet(), sample.clean())
    odd = words.cleaned(run).models[0].findings[1].snippet[0].text
    assert odd.startswith("\t\t") and words.cleaned(run) == run


def test_source_keeps_its_columns() -> None:
    """Source keeps its columns."""
    assert words.source("\ta\x1bb\u202e") == "\ta\ufffdb\ufffd"
