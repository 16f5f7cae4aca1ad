"""Comments that suppress findings, and those that do nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint import gate
from convlint.gate import Outcome
from tests.gate.made import RULES, finding, outcome

ACTIVE = frozenset({"CL101", "CL301"})
FILE = '''\
class Net(nn.Module):  {header}
    """A net."""
    def __init__(self):
        self.a = nn.Conv2d(  {first}
            3, 8, 3,
        )  {last}
        self.b = nn.Conv2d(3, 8, 3)  {other}


class Other(nn.Module):
    def __init__(self):
        self.c = nn.Conv2d(3, 8, 3)  {elsewhere}
'''


def run(
    tmp_path: Path, lines: tuple[int, ...] = (4, 7), status: str = "complete", **at: str
) -> Outcome:
    """Return the outcome of a model with a CL301 on lines 4 to 6 of an annotated file."""
    blank = dict.fromkeys(("header", "first", "last", "other", "elsewhere"), "")
    path = tmp_path / "net.py"
    path.write_text(FILE.format(**(blank | at)))
    one = outcome(finding(line=4, end=6), lines=lines, sources={"net.py": str(path)}, status=status)
    (result,) = gate.suppress([one], RULES, ACTIVE)
    return result


def said(result: Outcome) -> list[tuple[str, int]]:
    """Return code and line of the diagnostics."""
    return [(d.code, d.location.line if d.location else 0) for d in result.report.diagnostics]


@pytest.mark.parametrize("place", ["header", "first", "last"])
@pytest.mark.parametrize(
    ("comment", "reason"),
    [
        ("# convlint: ignore[CL301] measured: faster so", "measured: faster so"),
        ("# convlint: ignore[dense-conv]", "CL301"),
        ("# noqa: E501  # convlint:ignore[ CL101, cl301 ] both", "both"),
    ],
)
def test_a_comment_suppresses(tmp_path: Path, place: str, comment: str, reason: str) -> None:
    """It may stand on the first or last line of the call, or on the class line."""
    result = run(tmp_path, **{place: comment})
    assert [f.suppressed for f in result.report.findings] == [reason]
    assert said(result) == []


@pytest.mark.parametrize("comment", ["# convlint: ignore", "# convlint: ignore all of this"])
def test_a_blanket_comment_suppresses_nothing(tmp_path: Path, comment: str) -> None:
    """A comment that names no rule is a warning and leaves the finding."""
    result = run(tmp_path, first=comment)
    assert [f.suppressed for f in result.report.findings] == [None]
    assert said(result) == [("CL906", 4)]


def test_an_unknown_rule_in_a_comment_is_told(tmp_path: Path) -> None:
    """A comment with a misspelled rule says what is meant."""
    result = run(tmp_path, first="# convlint: ignore[dence-conv]")
    assert said(result) == [("CL906", 4)]
    assert "did you mean dense-conv?" in result.report.diagnostics[0].message


def test_an_unused_comment_is_told(tmp_path: Path) -> None:
    """A comment where nothing is found is told, where the code ran and the rule was on."""
    comment = "# convlint: ignore[CL101] old"
    assert said(run(tmp_path, other=comment)) == [("CL907", 7)]
    assert said(run(tmp_path, elsewhere=comment)) == []
    assert said(run(tmp_path, lines=(4, 12), elsewhere=comment)) == [("CL907", 12)]
    assert said(run(tmp_path, status="partial", other=comment)) == []
    assert said(run(tmp_path, other="# convlint: ignore[CL399] off")) == []


def test_a_comment_in_a_string_is_none(tmp_path: Path) -> None:
    """Text that looks like a comment inside a string does nothing."""
    result = run(tmp_path, other="; x = '# convlint: ignore'")
    assert said(result) == []


def test_two_models_share_a_comment(tmp_path: Path) -> None:
    """A comment that one model of the run needs is not unused in the other, and told once."""
    path = tmp_path / "net.py"
    path.write_text("x = 1  # convlint: ignore[CL301]\ny = 2  # convlint: ignore[CL101]\n")
    sources = {"net.py": str(path)}
    one = outcome(lines=(1, 2), sources=sources)
    two = outcome(finding(line=1), lines=(1, 2), sources=sources)
    results = gate.suppress([one, two], RULES, ACTIVE)
    assert [said(result) for result in results] == [[("CL907", 2)], []]


@pytest.mark.parametrize("place", ["header", "other", "elsewhere"])
def test_a_comment_about_the_file_suppresses_all_of_it(tmp_path: Path, place: str) -> None:
    """ignore-file speaks of every call of its file, wherever it stands, and needs its rules."""
    result = run(tmp_path, **{place: "# convlint: ignore-file[dense-conv] generated"})
    assert [f.suppressed for f in result.report.findings] == ["generated"]
    assert said(result) == []
    result = run(tmp_path, **{place: "# convlint: ignore-file"})
    assert [f.suppressed for f in result.report.findings] == [None]
    assert [code for code, _ in said(result)] == ["CL906"]
    result = run(tmp_path, **{place: "# convlint: ignore-file[CL101] old"})
    assert [code for code, _ in said(result)] == ["CL907"]


def test_the_nearest_comment_gives_the_reason(tmp_path: Path) -> None:
    """A line's own comment comes before that of the file."""
    result = run(
        tmp_path,
        header="# convlint: ignore-file[CL301] whole",
        first="# convlint: ignore[CL301] own",
    )
    assert [f.suppressed for f in result.report.findings] == ["own"]
