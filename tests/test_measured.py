"""docs/measured.md and the rules' pages say what benchmarks/rewrites.json says."""

from __future__ import annotations

from benchmarks.measured import page, quotes, results
from benchmarks.measured.results import RowResult, Time, VariantResult
from convlint import plugins, profiles

ROWS = list(results.load().values())


def test_the_page_is_that_of_the_figures() -> None:
    """``python benchmarks/rewrites.py --page`` writes it anew."""
    assert page.FILE.read_text(encoding="utf-8") == page.text(ROWS)


def test_the_rules_quote_the_figures() -> None:
    """Each measured rule has its row in its page."""
    rules = {rule.meta.code: rule.doc for rule in plugins.load_rules()}
    for code, doc in rules.items():
        assert quotes.quote(code, ROWS) in doc, code


def test_no_warning_where_two_backends_are_slower() -> None:
    """An exact rule whose example is slower on two backends is an info on those that are targets."""
    rules = {rule.meta.code: rule.meta for rule in plugins.load_rules()}
    eager = profiles.load("eager")
    for row in ROWS:
        slower = [key for key, time in row.variants[-1].times.items() if time.slower]
        if row.rules and len(slower) >= 2 and "eager" in slower:
            assert rules[row.rules[0]].severity_under(eager) == "info", (row.name, slower)


def test_slower_is_said_where_it_is_sure() -> None:
    """The word stands where the whole interval is above 1."""
    times = {"eager": Time(1.3, 1.2, 1.4, 50), "openvino": Time(1.3, 0.9, 1.5, 50)}
    row = RowResult(
        "CL000", "an example", "1x3x8x8", ("CL000",),
        (VariantResult("now", 1, 1), VariantResult("after", 0.5, 0.5, times)), "a machine",
    )  # fmt: skip
    told = page.text([row])
    assert "| 1.30 [1.20, 1.40] **slower** | - | - | 1.30 [0.90, 1.50] |" in told
