"""convlint report: JSON reports rendered again and merged, as data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import NET, Run


def test_a_report_is_rendered_again_without_building_anything(run: Run, project: Path) -> None:
    """Text, SARIF and the exit code are those of the run; the model is not needed."""
    first = run("net.py", "--report", "json=a.json", "--report", "sarif=a.sarif")
    (project / "net.py").unlink()
    again = run("report", "a.json", "--report", "sarif=b.sarif")
    assert (again.code, again.out) == (first.code, first.out)
    assert (project / "a.sarif").read_text() == (project / "b.sarif").read_text()
    assert run("report", "a.json", "--format", "json").out == (project / "a.json").read_text()


def test_paths_may_lead_from_the_repository(run: Run, project: Path) -> None:
    """A report of a project in a folder is told to readers of the whole repository."""
    run("net.py", "--report", "json=a.json")
    told = run("report", "a.json", "--format", "rdjson", "--prefix", "services/net/")
    places = {d["location"]["path"] for d in json.loads(told.out)["diagnostics"]}
    assert places == {"services/net/net.py"}


def test_reports_are_merged(run: Run, project: Path) -> None:
    """Models side by side, numbers added, the worst exit code."""
    (project / "two.py").write_text(NET.replace("Net", "Two").replace("64, 7, padding=3", "64, 1"))
    codes = [
        run(name, "--report", f"json={name}.json").code for name in ("net.py", "two.py", "boom.py")
    ]
    assert codes == [1, 0, 2]
    merged = run("report", "net.py.json", "two.py.json", "boom.py.json", "--format", "json")
    assert merged.code == 2
    report = json.loads(merged.out)
    assert [m["target"] for m in report["models"]] == ["net.py:Net", "two.py:Two", "boom.py:Net"]
    assert (report["summary"]["models"], report["summary"]["failed"]) == (3, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no.json",), "no.json: cannot be read"),
        (("net.py",), "net.py: is no JSON report of this convlint"),
        (("a.json", "a.json"), "is in two of the reports"),
        (("a.json", "--format", "pdf"), "unknown report 'pdf'"),
        (("new.json",), "has schema_version 9"),
    ],
)
def test_what_is_no_report_is_refused(
    run: Run, project: Path, words: tuple[str, ...], said: str
) -> None:
    """Exit 2 and one line."""
    run("net.py", "--report", "json=a.json")
    report = json.loads((project / "a.json").read_text())
    (project / "new.json").write_text(json.dumps(report | {"schema_version": 9}))
    result = run("report", *words)
    assert result.code == 2
    assert said in result.err
