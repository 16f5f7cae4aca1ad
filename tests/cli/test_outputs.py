"""--outputs: which outputs are read, on the command line and in pyproject.toml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convlint.applying import serve
from tests.cli.conftest import Run

TWO = """\
import torch
from torch import nn


class Seg(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.head = nn.Conv2d(16, 5, 1)
        self.aux = nn.Sequential(nn.Conv2d(16, 5, 3, padding=1), nn.BatchNorm2d(5))

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return {"out": self.head(x), "aux": self.aux(x)}


class One(Seg):
    def forward(self, x):
        return super().forward(x)["out"]


if __name__ == "__main__":
    Seg()(torch.randn(1, 3, 16, 16))
"""
AUX = 16 * 16 * 16 * 9 * 5


@pytest.fixture(autouse=True)
def _two(project: Path) -> None:
    (project / "two.py").write_text(TWO)


def _model(result):
    (model,) = json.loads(result.out)["models"]
    return model


def test_the_report_says_what_is_read_and_what_it_saves(run: Run) -> None:
    """The line that builds the head, its MACs, and the names; a warning counts as any other."""
    result = run("two.py:Seg()", "--outputs", "out", "--select", "CL410", "--format", "json")
    model = _model(result)
    assert result.code == 1
    assert (model["outputs"], model["unread_outputs"]) == (["out"], ["aux"])
    (finding,) = model["findings"]
    assert (finding["location"]["line"], finding["saving"]["macs"]) == (10, AUX)
    assert model["totals"]["macs"] - model["after"]["exact"]["macs"] == AUX
    text = run("two.py:Seg()", "--outputs", "out", "--select", "CL410").out
    assert "outputs read: out; not read: aux" in text
    assert "next: convlint apply 'two.py:Seg()' --outputs out" in text
    for name in ("markdown", "html"):
        shown = run("two.py:Seg()", "--outputs", "out", "--format", name).out
        assert "Outputs read: out; not read: aux" in shown
        before = shown[: shown.index("CL410")].lower()  # at the head, ahead of the findings
        assert "outputs read: out; not read: aux" in before


def test_without_it_all_count(run: Run) -> None:
    """Nothing is found and nothing is said."""
    result = run("two.py:Seg()", "--select", "CL410", "--format", "json")
    model = _model(result)
    assert (result.code, model["findings"]) == (0, [])
    assert (model["outputs"], model["unread_outputs"]) == ([], [])
    assert "outputs read" not in run("two.py:Seg()", "--select", "CL410").out


def test_the_cache_holds_it(run: Run) -> None:
    """The same file with other outputs is another answer, each time it is asked."""
    codes = [
        run("two.py:Seg()", "--select", "CL410", "--cache-dir", "kept", *more).code
        for more in ((), ("--outputs", "out"), (), ("--outputs=out,aux",), ("--outputs", "out"))
    ]
    assert codes == [0, 1, 0, 0, 1]


def test_pyproject_declares_it(run: Run, project: Path) -> None:
    """outputs of a model count with and without naming the file; the flag beats them."""
    table = '[[tool.convlint.models]]\ntarget = "two.py:Seg()"\noutputs = ["out"]\n'
    (project / "pyproject.toml").write_text(table)
    for words in ((), ("two.py",), ("two.py:Seg()",)):
        model = _model(run(*words, "--select", "CL410", "--format", "json"))
        assert (model["outputs"], len(model["findings"])) == (["out"], 1)
    assert run("two.py", "--outputs", "aux,out", "--select", "CL410").code == 0


@pytest.mark.parametrize(
    ("value", "words"),
    [("[]", "names no output"), ('""', "expected list"), ('["a", ""]', "names no output")],
)
def test_a_list_that_names_nothing_is_refused(
    run: Run, project: Path, value: str, words: str
) -> None:
    """An empty list is a slip, not all outputs."""
    table = f'[[tool.convlint.models]]\ntarget = "two.py"\noutputs = {value}\n'
    (project / "pyproject.toml").write_text(table)
    result = run()
    assert result.code == 2
    assert f"tool.convlint.models[0].outputs: {words}" in result.err.replace("array", "list")


def test_a_flag_that_names_nothing_is_refused(run: Run) -> None:
    """So is one that holds commas alone."""
    result = run("two.py", "--outputs", ",")
    assert result.code == 2
    assert "--outputs: names no output; name those that are read, like out or 0,1" in result.err


def test_a_wrong_name_is_an_error_of_its_model(run: Run) -> None:
    """Exit 2 and the names there are, beside a model of the file that has it too."""
    result = run("two.py:Seg()", "--outputs", "oot")
    assert result.code == 2
    assert "no tensor 'oot'; its outputs are out, aux; did you mean out?" in result.err
    beside = run("two.py", "--outputs", "out", "--format", "json")
    assert beside.code == 2
    statuses = {m["target"]: m["status"] for m in json.loads(beside.out)["models"]}
    assert statuses == {"two.py:Seg": "complete", "two.py:One": "failed"}
    assert "two.py:One: the model returns one tensor" in beside.err


def test_a_baseline_knows_it(run: Run) -> None:
    """What was written down with the same outputs is known; other outputs are new."""
    asked = ("two.py:Seg()", "--select", "CL410", "--outputs")
    assert run(*asked, "out", "--write-baseline", "known.json").code == 0
    assert run(*asked, "out", "--baseline", "known.json").code == 0
    assert run(*asked, "aux", "--baseline", "known.json").code == 1


def test_apply_returns_what_is_kept(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file says so, the JSON report too, and the saved source returns a dict of it."""
    from convlint import workbench

    monkeypatch.setattr(workbench, "perform", lambda work, *_: serve.serve(work))
    words = ("apply", "two.py:Seg()", "--input", "1x3x16x16", "--outputs", "out")
    told = run(*words, "--save-source", "made.py")
    assert told.code == 0
    assert "returns out alone (--outputs)" in told.out
    assert "made CL410 unused-parameters: aux" in told.out
    assert "return {'out': head}" in (project / "made.py").read_text()
    reply = json.loads(run(*words, "--format", "json").out)
    assert reply["before"]["macs"] - reply["after"]["macs"] == AUX
    assert reply["report"]["outputs"] == ["out"]
    wrong = run("apply", "two.py:One()", "--input", "1x3x16x16", "--outputs", "out")
    assert wrong.code == 2
    assert "returns one tensor" in wrong.err


def test_why_tells_who_silenced_a_rule(run: Run) -> None:
    """why names the finding of the head; why-not says that CL410 speaks of it already."""
    assert "CL410" in run("why", "aux", "two.py:Seg()", "--outputs", "out").out
    rule = ("why-not", "CL406", "aux.0", "two.py:Seg()")
    assert "it is found" in run(*rule).out
    assert "CL410 tells of it" in run(*rule, "--outputs", "out").out
