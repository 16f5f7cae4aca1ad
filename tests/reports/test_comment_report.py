"""The comment report: marker, verdict, changed models, at most five findings, the rest folded."""

from __future__ import annotations

import re

import msgspec
import pytest
from convlint_reports.comment import REPORT

from convlint.contract import Budget, ModelReport, RunReport, Severity, Totals, View
from tests.reports import machines, sample


def render(run: RunReport, prefix: str = "") -> list[str]:
    """Return the lines of the comment."""
    return REPORT.render(run, View(prefix=prefix)).splitlines()


def against(*models: ModelReport) -> RunReport:
    """Return a run that was compared with main."""
    return msgspec.structs.replace(sample.run(*models), base="main")


def grown(model: ModelReport, macs: int) -> ModelReport:
    """Return the model with these MACs in the base."""
    base = msgspec.structs.replace(model.totals, macs=macs)
    return msgspec.structs.replace(model, base=base)


def quiet(target: str = "nets/same.py:Same") -> ModelReport:
    """Return a model that is as it was."""
    model = sample.clean()
    return msgspec.structs.replace(model, target=target, base=model.totals)


def test_the_marker_and_the_verdict_come_first() -> None:
    """The first line finds the comment again, the second says what it comes to."""
    lines = render(against(grown(sample.resnet(), 4_000_000_000)))
    assert lines[0] == "<!-- convlint -->"
    assert lines[1] == "### convlint: 2 new warnings, 1 new info, MACs +2.2 %"
    assert render(against(quiet()))[1] == "### convlint: nothing new"
    assert render(sample.run(sample.failed()))[1] == "### convlint: 1 model could not be checked"


def test_a_row_has_value_change_and_limit() -> None:
    """MACs always; other totals where they changed or have a limit; a broken one stands out."""
    limits = (
        Budget("CL701", "max-macs", "macs", "4 GMACs", 4 * 10**9, 4089284608, 4 * 10**9),
        Budget("CL702", "max-params", "params", "26 M", 26 * 10**6, 25557032, 25 * 10**6),
        Budget("CL711", "max-macs-increase", "macs", "5%", 10**10, 4089284608, 0, base=10**9),
    )
    model = msgspec.structs.replace(grown(sample.resnet(), 4_000_000_000), budgets=limits)
    rows = [line for line in render(against(model)) if line.startswith("| `nets/resnet.py")]
    assert rows == [
        "| `nets/resnet.py:ResNet50` MACs | 4.09 GMACs (+2.2 %) | **over 4 GMACs**, +5% |",
        "| `nets/resnet.py:ResNet50` params | 25.6 M (same) | 26 M |",
    ]


def test_a_model_without_a_base_is_new() -> None:
    """It never grew by 100 %."""
    rows = [line for line in render(against(sample.resnet())) if line.startswith("| `nets")]
    assert rows[0].endswith("4.09 GMACs (new) |  |")
    assert "%" not in rows[0]


def test_unchanged_models_are_folded() -> None:
    """What is as it was has no row, and no finding."""
    lines = render(against(quiet(), grown(sample.resnet(), 1), quiet("nets/b.py:B")))
    start = lines.index("<details><summary>")
    assert lines[start + 1] == "2 models unchanged</summary>"
    assert all("same.py" not in line for line in lines[:start])
    assert lines[-1] == "</details>"


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (5, 5), (6, 5), (100, 5)])
def test_at_most_five_findings_and_a_count(count: int, shown: int) -> None:
    """Errors first, then by saving."""
    lines = [line for line in render(machines.many(count)) if line.startswith("- ")]
    assert sum(line.startswith("- **CL301") for line in lines) == shown
    assert (lines[-1] == f"- and {count - 5} more findings") == (count > 6)


def test_places_lead_from_the_top_of_the_repository() -> None:
    """A reader clicks through from the pull request."""
    (line, *_) = [text for text in render(machines.many(1), "app/") if text.startswith("- **")]
    assert "`app/nets/a b#c.py:1`" in line


def test_no_name_becomes_markup() -> None:
    """Tables keep their columns, and nothing of a name is a tag, a link or a mention."""
    text = REPORT.render(machines.run(), View())
    assert len(text) < 65_536
    assert text.startswith("<!-- convlint -->\n### convlint: ")
    outside = re.sub(r"(`+) ?.*?\1", "", text)
    tags = set(re.findall(r"<(/?\w+)", outside))
    assert tags <= {"details", "/details", "/summary", "summary"}
    for line in text.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", line))) == 4, line


def test_many_models_fit_into_a_comment() -> None:
    """GitHub takes 65,536 characters; the rest is counted."""
    models = [
        msgspec.structs.replace(
            grown(sample.clean(), 1), target=f"nets/{'x' * 100}{n}.py:Net", totals=Totals(macs=n)
        )
        for n in range(2000)
    ]
    text = REPORT.render(against(*models), View())
    assert len(text) < 65_536
    assert re.search(r"and [\d,]+ more models", text)


def test_severities_are_told_in_order() -> None:
    """An error stands before a warning that saves more."""
    found = (machines.finding(1, Severity.WARNING, 10**9), machines.finding(2, Severity.ERROR, 1))
    model = msgspec.structs.replace(sample.resnet(), findings=found)
    lines = render(sample.run(model))
    assert lines[1] == "### convlint: 1 new error, 1 new warning"
    first = next(line for line in lines if line.startswith("- **"))
    assert ":2`" in first
