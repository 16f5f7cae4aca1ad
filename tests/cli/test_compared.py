"""What convlint compare prints, with names made to break out of it."""

from __future__ import annotations

import json

import msgspec
import pytest

from convlint import gate
from convlint.cli import compared
from convlint.contract import Totals
from convlint.gate import Comparison
from convlint.settings import FailLevel
from tests.reports import machines, sample


def hostile() -> Comparison:
    """A comparison of models that are called by every hostile name."""
    head = machines.run()
    thin = [msgspec.structs.replace(m, layers=m.layers[:1], findings=()) for m in head.models]
    names = ("main\x1b[31m", "`x`|y\n::error::z")
    return gate.compare(sample.run(*thin), head, names, FailLevel.WARNING)


@pytest.mark.parametrize("name", ["text", "markdown", "json"])
def test_no_name_moves_the_cursor_or_a_column(name: str) -> None:
    """No control character gets through, lines stay lines, and cells stay cells."""
    text = compared.render(hostile(), name)
    if name == "json":
        assert json.loads(text)["summary"]["models"] == len(machines.NAMES)
        return
    assert all(char == "\n" or char.isprintable() for char in text)
    assert all(not line.lstrip().startswith("::") for line in text.splitlines())
    if name == "markdown":
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        assert {row.count("|") for row in rows} == {5}
        assert max(map(len, text.splitlines())) < 2000


def test_totals_are_told_with_their_change() -> None:
    """Grown, shrunk, the same, and new where there was nothing."""
    now = sample.clean()
    then = msgspec.structs.replace(
        now, totals=msgspec.structs.replace(now.totals, macs=2 * now.totals.macs, params=0)
    )
    told = gate.compare(sample.run(then), sample.run(now), ("a", "b"), FailLevel.WARNING)
    lines = {line.split()[0]: line for line in compared.render(told, "text").splitlines() if line}
    assert lines["MACs"].endswith("-50.0 %")
    assert lines["params"].endswith(" new")
    assert lines["weights"].endswith(" same")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (100, 100, "same"),
        (0, 5, "new"),
        (10**9, 10**9 + 1, "<0.1 % more"),
        (10**9, 10**9 - 1, "<0.1 % less"),
        (200, 100, "-50.0 %"),
    ],
)
def test_changes_in_words(old: int, new: int, said: str) -> None:
    """What changed never reads as the same."""
    assert compared.change(old, new) == said


def test_models_that_are_the_same_are_counted_alone() -> None:
    """Text leaves them out, Markdown folds them."""
    run = sample.run(msgspec.structs.replace(sample.clean(), totals=Totals(macs=5)))
    told = gate.compare(run, run, ("a", "b"), FailLevel.WARNING)
    text = compared.render(told, "text")
    assert text.splitlines()[-1].startswith("1 model, 0 changed, 0 new findings")
    assert "MACs" not in text
    assert "1 model unchanged" in compared.render(told, "markdown")
    assert "MACs" in compared.render(told, "text", verbose=True)
