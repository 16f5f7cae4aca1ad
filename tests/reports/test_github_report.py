"""The GitHub report, read the way GitHub's runner reads a log."""

from __future__ import annotations

import re

import msgspec
import pytest
from convlint_reports.github import REPORT

from convlint.contract import RunReport, Severity, View
from convlint.ir.nodes import SourceSpan
from tests.reports import machines, sample

Command = tuple[str, dict[str, str], str]


def parse(text: str) -> list[Command]:
    """Return (command, properties, message) of every line; no line may be anything else."""
    found = []
    for line in text.split("\n")[:-1]:
        match = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line)
        assert match, line
        pairs = [pair.split("=", 1) for pair in match[2].split(",")]
        values = {key: unescape(value, {"%3A": ":", "%2C": ","}) for key, value in pairs}
        found.append((match[1], values, unescape(match[3])))
    return found


def unescape(text: str, more: dict[str, str] | None = None) -> str:
    """Undo the runner's escapes, the percent sign last."""
    for escape, char in {**(more or {}), "%0D": "\r", "%0A": "\n", "%25": "%"}.items():
        text = text.replace(escape, char)
    return text


def commands(run: RunReport, prefix: str = "") -> list[Command]:
    """Return the commands of a run."""
    return parse(REPORT.render(run, View(prefix=prefix)))


def test_a_finding_is_one_command_at_its_line() -> None:
    """Level, file, line, columns and title; the message begins with path:line: CODE."""
    (first, *_) = commands(sample.run(sample.resnet()), "services/")
    word, values, message = first
    assert word == "warning"
    assert values == {
        "title": "CL301 dense-conv",
        "file": "services/nets/resnet.py",
        "line": "86",
        "col": "22",
        "endColumn": "88",
    }
    assert message.startswith("services/nets/resnet.py:86: CL301 dense-conv: layer*.*.conv2 x16")
    assert "(39.9 %)" in message


def test_columns_are_left_out_over_several_lines() -> None:
    """GitHub refuses columns where line and end line differ, and an end before the start."""
    for span in (SourceSpan("a.py", 3, 9, 5, 4), SourceSpan("a.py", 3, 9, 3, 9)):
        found = msgspec.structs.replace(sample.DENSE, location=span)
        model = msgspec.structs.replace(sample.resnet(), findings=(found,))
        ((_, values, _),) = commands(sample.run(model))
        assert set(values) == {"title", "file", "line"}


@pytest.mark.parametrize("count", [1, 9, 10, 40])
def test_at_most_nine_a_level_and_one_that_counts_the_rest(count: int) -> None:
    """The largest savings are shown; the tenth says how many more there are."""
    found = commands(machines.many(count))
    assert len(found) == min(count, 10)
    assert found[0][1]["line"] == str(count)
    if count > 9:
        assert f"{count - 9} more warning" in found[-1][2]


def test_levels_are_counted_apart() -> None:
    """Errors, warnings and notices have nine each."""
    found = [machines.finding(n, level) for level in Severity for n in range(20)]
    model = msgspec.structs.replace(sample.resnet(), findings=tuple(found))
    words = [word for word, _, _ in commands(sample.run(model))]
    assert words == ["error"] * 10 + ["warning"] * 10 + ["notice"] * 10


def test_no_name_becomes_a_command() -> None:
    """Every line is one of ours, whatever the user's names hold."""
    for word, values, _ in commands(machines.run()):
        assert word in ("error", "warning", "notice")
        assert set(values) <= {"title", "file", "line", "col", "endColumn"}


def test_a_failure_is_an_error_and_silence_is_nothing() -> None:
    """What could not be checked is annotated; what does not count is not."""
    assert commands(sample.run(sample.failed()))[0][0] == "error"
    assert REPORT.render(machines.quiet(), View()) == ""
    assert REPORT.render(sample.run(sample.clean()), View()) == ""
    assert REPORT.beside == "text"
