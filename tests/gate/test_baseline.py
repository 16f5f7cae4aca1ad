"""The baseline: what is known stays known, what grew is new, what is gone is stale."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlint import gate
from convlint.contract import Budget, Check, Finding, Saving
from convlint.errors import ConfigError
from convlint.gate import Outcome
from tests.gate.made import finding, outcome

ACTIVE = frozenset({"CL101", "CL301", "CL701"})


def conv(macs: int = 100, *modules: str, print_: str = "f1", **more: Any) -> Finding:
    """Return a finding that saves this much."""
    return finding(
        modules=modules or ("conv1",), saving=Saving(macs=macs), fingerprint=print_, **more
    )


def net(*findings: Finding, target: str = "net.py:Net", status: str = "complete") -> Outcome:
    """Return a model that was read, with these findings."""
    made = outcome(*findings, status=status)
    return dataclasses.replace(made, report=msgspec.structs.replace(made.report, target=target))


def known(was: Outcome, now: Outcome) -> list[bool]:
    """Say of each finding of ``now`` whether a baseline of ``was`` knows it."""
    marked = gate.mark([now], gate.entries_of([was.report]))
    return [f.baseline == "known" for f in marked.outcomes[0].report.findings]


def left(was: Outcome, *now: Outcome, root: Path = Path("/nowhere")) -> list[str]:
    """Return the modules of the entries that are stale."""
    marked = gate.mark(now, gate.entries_of([was.report]))
    return [entry.modules[0] for entry in gate.stale(marked.left, marked.outcomes, ACTIVE, root)]


def test_the_same_finding_is_known_wherever_it_stands() -> None:
    """Neither the line nor the file is part of what is known."""
    assert known(net(conv(line=3)), net(conv(line=300))) == [True]
    assert known(net(conv()), net(conv(), target="models/renamed.py:Net")) == [True]


def test_a_finding_that_grew_is_new_and_one_that_shrank_is_not() -> None:
    """60 MMACs that became 120 are new; 120 that became 60 are known."""
    assert known(net(conv(60)), net(conv(120))) == [False]
    assert known(net(conv(120)), net(conv(60))) == [True]
    assert known(net(conv(60)), net(conv(61))) == [False]


def test_a_narrower_layer_or_fewer_modules_stay_known() -> None:
    """What changed the fingerprint for the better is known; more modules are new."""
    assert known(net(conv(60, print_="wide")), net(conv(50, print_="narrow"))) == [True]
    assert known(net(conv(60, print_="narrow")), net(conv(70, print_="wide"))) == [False]
    assert known(net(conv(60, "a", "b", print_="2")), net(conv(30, "a", print_="1"))) == [True]
    assert known(net(conv(60, "a", print_="1")), net(conv(60, "a", "b", print_="2"))) == [False]


def test_one_entry_knows_one_finding() -> None:
    """A copy of a known finding is new: entries are no counts and no wildcards."""
    twice = net(conv(60), conv(60, line=9))
    assert sorted(known(net(conv(60)), twice)) == [False, True]
    swapped = net(conv(60, "other", print_="f2"))
    assert known(net(conv(60)), swapped) == [False]


def test_a_model_that_is_read_twice_is_known_twice() -> None:
    """Naming a model as a file and as an expression needs no second entry."""
    one, two = net(conv(60)), net(conv(60))
    marked = gate.mark([one, two], gate.entries_of([one.report]))
    assert [o.report.findings[0].baseline for o in marked.outcomes] == ["known", "known"]


def test_of_two_files_with_the_same_class_each_keeps_its_own() -> None:
    """Equal models in two files need an entry each, and each file uses its own first."""
    one, two = net(conv(60)), net(conv(60), target="copy.py:Net")
    marked = gate.mark([two, one], gate.entries_of([one.report]))
    states = [o.report.findings[0].baseline for o in marked.outcomes]
    assert states == ["new", "known"]


def test_a_saving_without_macs_is_compared_by_what_it_saves() -> None:
    """Where neither MACs nor parameters are saved, the bytes must not grow."""
    was, now = (finding(fingerprint="f", saving=Saving(activation_bytes=n)) for n in (10, 20))
    assert known(net(was), net(now)) == [False]
    assert known(net(now), net(was)) == [True]


def test_a_limit_that_is_broken_by_more_is_new() -> None:
    """A known broken limit stays known until the value grows."""
    budgets = [Budget("CL701", "max-macs", "macs", "1 MACs", 1, value, 1) for value in (5, 6)]
    was, now = (finding("CL701", fingerprint="f", budget=budget) for budget in budgets)
    assert known(net(was), net(now)) == [False]
    assert known(net(now), net(was)) == [True]


def test_suppressed_findings_are_no_entries() -> None:
    """What a comment suppresses needs no entry."""
    assert gate.entries_of([net(conv(suppressed="measured")).report]) == ()


def test_an_entry_whose_finding_is_gone_is_stale() -> None:
    """Stale is what was looked for and not found; a finding that grew is still there."""
    assert left(net(conv()), net()) == ["conv1"]
    assert left(net(conv(60)), net(conv(90))) == []
    assert left(net(conv()), net(conv())) == []


def test_what_was_not_looked_at_is_not_stale(tmp_path: Path) -> None:
    """A model that was not read, or in part, or a rule that did not run leaves entries alone."""
    (tmp_path / "net.py").touch()
    other = net(target="other.py:Other")
    assert left(net(conv()), other, root=tmp_path) == []
    assert left(net(conv()), net(status="partial"), root=tmp_path) == []
    assert left(net(conv(code="CL401")), net()) == []
    (tmp_path / "net.py").unlink()
    assert left(net(conv()), other, root=tmp_path) == ["conv1"]


def test_a_model_that_was_read_lends_its_entries_to_no_other() -> None:
    """A finding that went in one file does not make the same one in another file known."""
    one, two = net(), net(conv(5, print_="x"), target="copy.py:Net")
    marked = gate.mark([one, two], gate.entries_of([net(conv(9)).report]))
    assert [f.baseline for f in marked.outcomes[1].report.findings] == ["new"]


def test_in_a_part_of_the_files_only_what_is_gone_was_renamed(tmp_path: Path) -> None:
    """A hook does not see the other files: an entry moves only where its file is not there."""
    renamed = net(conv(), target="other.py:Net")
    entries = gate.entries_of([net(conv()).report])

    def state() -> str:
        marked = gate.mark([renamed], entries, here=tmp_path)
        return marked.outcomes[0].report.findings[0].baseline

    (tmp_path / "net.py").touch()
    assert state() == "new"
    (tmp_path / "net.py").unlink()
    assert state() == "known"


def test_a_rule_that_crashed_leaves_its_entries() -> None:
    """What was not looked for is not gone."""
    model = net()
    report = msgspec.structs.replace(model.report, checks=(Check("CL301", 0, True),))
    assert left(net(conv()), dataclasses.replace(model, report=report)) == []


def test_the_file_is_sorted_with_an_entry_a_line(tmp_path: Path) -> None:
    """The text is the same whatever the order, each entry one line, and reads back the same."""
    reports = [net(conv(1, "b"), conv(2, "a")).report, net(conv(3), target="a.py:A").report]
    entries = gate.entries_of(reports)
    text = gate.render(entries)
    assert text == gate.render(reversed(entries))
    lines = [line for line in text.splitlines() if '"code"' in line]
    assert len(lines) == 3
    assert [line.count("a.py:A") for line in lines] == [1, 0, 0]
    (tmp_path / "b.json").write_text(text)
    assert set(map(repr, gate.read_baseline(tmp_path / "b.json", "b.json").entries)) == set(
        map(repr, entries)
    )
    assert "line" not in text.replace("baseline", "")


def test_names_that_are_no_unicode_are_written() -> None:
    """A file whose name holds raw bytes has entries like any other."""
    model = net(conv(5, "a\ud800"), target="\udcff.py:Net")
    assert "\\\\udcff.py:Net" in gate.render(gate.entries_of([model.report]))
    assert known(model, model) == [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n"schema_version": 1,\n<<<<<<< HEAD\n', "b.json:3: holds a merge conflict; keep"),
        ("[]", "is not a baseline: "),
        ('{"schema_version": 1, "findings": [], "more": 1}', "unknown field"),
        ('{"schema_version": 2, "findings": []}', "has schema_version 2"),
        ("", "is not a baseline"),
        ("\ud800", "is not a baseline"),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A broken file is told with its place and what to do, never taken for an empty one."""
    (tmp_path / "b.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError) as caught:
        gate.read_baseline(tmp_path / "b.json", "b.json")
    assert said in caught.value.format()


def test_a_missing_baseline_is_refused(tmp_path: Path) -> None:
    """A baseline that is not there is an error that says how to write one."""
    with pytest.raises(ConfigError, match="cannot be read"):
        gate.read_baseline(tmp_path / "no.json", "no.json")


amounts = st.integers(0, 5)
places = st.lists(
    st.tuples(amounts, st.sampled_from("abc"), st.sampled_from(["f1", "f2"])), max_size=6
)


@given(places)
def test_a_baseline_of_today_knows_all_of_today(what: list[tuple[int, str, str]]) -> None:
    """Written and read at once nothing is new and nothing is stale."""
    model = net(*(conv(macs, name, print_=mark) for macs, name, mark in what))
    assert all(known(model, model))
    assert left(model, model) == []


@given(places, places)
def test_nothing_is_known_without_an_entry(
    was: list[tuple[int, str, str]], now: list[tuple[int, str, str]]
) -> None:
    """There are never more known findings than entries."""
    old, new = (net(*(conv(m, n, print_=f) for m, n, f in what)) for what in (was, now))
    assert sum(known(old, new)) <= len(was)
