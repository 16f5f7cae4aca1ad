"""A model that is declared at two input sizes: one rule for check, why-not, apply, measure, fix."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from convlint.applying import serve
from tests.cli.conftest import Run

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 16, 3, padding=12, dilation=12)
        self.point = nn.Conv2d(16, 8, 1, dilation=2)

    def forward(self, x):
        return self.point(self.wide(self.stem(x).relu()).relu())
"""
DECLARED = """\
[[tool.convlint.models]]
target = "dilated.py:Net()"
inputs = [{inputs}]
"""
ONE_ONLY, BOTH = '["1x3x8x8"], ["1x3x32x32"]', '["1x3x8x8"], ["1x3x11x11"]'
REASON = "it holds at 1x3x8x8 and not at 1x3x32x32, and the model is declared for both"


@pytest.fixture
def declare(project: Path):
    """Declare the model at these inputs."""
    (project / "dilated.py").write_text(NET)

    def write(inputs: str, more: str = "") -> None:
        (project / "pyproject.toml").write_text(DECLARED.format(inputs=inputs) + more)

    return write


@pytest.fixture
def here(run: Run, monkeypatch: pytest.MonkeyPatch):
    """Run convlint with the child's work done in this process."""
    monkeypatch.setattr("convlint.workbench.perform", lambda work, _c, _l: serve.serve(work))
    monkeypatch.setattr(sys, "path", list(sys.path))
    threads, before = torch.get_num_threads(), set(sys.modules)
    yield run
    for name in set(sys.modules) - before:
        if "dilated" in name:
            del sys.modules[name]
    torch.set_num_threads(threads)


def codes(model) -> list[str]:
    return [finding["code"] for finding in model["findings"]]


def test_check_tells_what_holds_at_both(run: Run, declare) -> None:
    """One size only: silent, exit 0, no total. Both: found twice. --input: that size alone."""
    chosen = ("--select", "CL102", "--format", "json")
    declare(ONE_ONLY)
    silent = run(*chosen)
    assert silent.code == 0, silent.err
    models = json.loads(silent.out)["models"]
    assert [codes(model) for model in models] == [[], []]
    assert [model["after"]["exact"] == model["totals"] for model in models] == [True, True]
    alone = run("dilated.py", "--input", "1x3x8x8", *chosen)
    assert alone.code == 1
    assert [codes(model) for model in json.loads(alone.out)["models"]] == [["CL102"]]
    declare(BOTH)
    for words in ((), ("dilated.py",), ("dilated.py:Net()", "--jobs", "1")):
        found = run(*words, *chosen)
        assert found.code == 1
        models = json.loads(found.out)["models"]
        assert [codes(model) for model in models] == [["CL102"], ["CL102"]]
        macs = [(m["totals"]["macs"], m["after"]["exact"]["macs"]) for m in models]
        assert macs[0] == (64 * (27 * 16 + 2304 + 128), 64 * (27 * 16 + 256 + 128))
        assert macs[1] == (121 * (27 * 16 + 2304 + 128), 121 * (27 * 16 + 256 + 128))


def test_a_second_run_from_the_cache_says_the_same(run: Run, declare, project: Path) -> None:
    """With the replies of one size kept and the other new, they are still held together."""
    declare('["1x3x8x8"]', '[tool.convlint]\nselect = ["CL102"]\n')
    assert run("--cache-dir", "kept").code == 1
    declare(ONE_ONLY, '[tool.convlint]\nselect = ["CL102"]\n')
    first = run("--cache-dir", "kept", "--format", "json")
    declare(f'["1x3x32x32"], {ONE_ONLY}', '[tool.convlint]\nselect = ["CL102"]\n')
    mixed = run("--cache-dir", "kept", "--format", "json")
    again = run("--cache-dir", "kept", "--format", "json")
    assert first.code == mixed.code == again.code == 0, mixed.err
    assert mixed.out == again.out
    assert (project / "kept").is_dir()


def test_the_sizes_of_a_model_share_a_shard(run: Run, declare, project: Path) -> None:
    """Two models at two sizes in two parts: each is whole in one, and says what it says alone."""
    declare(ONE_ONLY)
    (project / "twin.py").write_text(NET.replace("Net", "Twin"))
    text = (project / "pyproject.toml").read_text()
    text += DECLARED.format(inputs=BOTH).replace("dilated.py:Net", "twin.py:Twin")
    (project / "pyproject.toml").write_text(text)
    told = {}
    for part in ("1/2", "2/2"):
        shown = run("--shard", part, "--select", "CL102", "--format", "json")
        told[part] = [(m["target"], codes(m)) for m in json.loads(shown.out)["models"]]
    assert told["1/2"] == [("dilated.py:Net() @ 1x3x8x8", []), ("dilated.py:Net() @ 1x3x32x32", [])]
    assert told["2/2"] == [
        ("twin.py:Twin() @ 1x3x8x8", ["CL102"]), ("twin.py:Twin() @ 1x3x11x11", ["CL102"]),
    ]  # fmt: skip
    assert run("--shard", "3/3", "--select", "CL102").code == 0


def test_a_baseline_knows_each_size_and_lets_go(run: Run, declare, project: Path) -> None:
    """What was found at two sizes is known at both; once a size denies it, its entries are stale."""
    declare(BOTH)
    chosen = ("--select", "CL102")
    assert run(*chosen, "--write-baseline", "known.json").code == 0
    entries = json.loads((project / "known.json").read_text())["findings"]
    assert [entry["model"] for entry in entries] == [
        "dilated.py:Net() @ 1x3x11x11", "dilated.py:Net() @ 1x3x8x8",
    ]  # fmt: skip
    assert run(*chosen, "--baseline", "known.json").code == 0
    declare(f'{BOTH}, ["1x3x32x32"]')
    later = run(*chosen, "--baseline", "known.json", "--format", "json")
    assert later.code == 0
    summary = json.loads(later.out)["summary"]
    assert (summary["findings"], summary["stale"]) == (0, 2)


def test_why_not_names_the_size_at_which_it_does_not_hold(run: Run, declare) -> None:
    """The reason is told of the size where it would be found."""
    declare(ONE_ONLY)
    told = run("why-not", "CL102", "wide", "dilated.py")
    assert told.code == 0, told.err
    first, second, *_ = told.out.splitlines()
    assert first == f"dilated.py:Net() @ 1x3x8x8: CL102 dead-taps on wide: {REASON}"
    assert second.startswith(
        "dilated.py:Net() @ 1x3x32x32: CL102 dead-taps on wide: it is no place"
    )
    assert REASON in run("why", "wide", "dilated.py").out


def test_apply_makes_what_holds_at_both(here: Run, declare) -> None:
    """A declared model needs no --input; what one size denies is left, with the reason."""
    declare(BOTH)
    made = here("apply", "dilated.py")
    assert made.code == 0, made.err
    assert "made CL102 dead-taps: wide (the same at this input size only)" in made.out
    assert made.out.startswith("dilated.py:Net() @ 1x3x8x8\n")
    declare(ONE_ONLY)
    left = here("apply", "dilated.py", "--format", "json")
    assert left.code == 0, left.err
    reply = json.loads(left.out)
    assert reply["notes"] == [f"left CL102 dead-taps at wide: {REASON}"]
    assert "CL102" not in [change["code"] for change in reply["changes"]]
    assert reply["report"]["after"]["exact"]["macs"] == reply["after"]["macs"]
    chosen = here("apply", "dilated.py", "--input", "1x3x8x8")
    assert "made CL102" in chosen.out


def test_apply_says_where_the_model_does_not_run(here: Run, declare) -> None:
    """An input that is declared and refused by the model is one clear error."""
    declare('["1x3x8x8"], ["1x4x8x8"]')
    told = here("apply", "dilated.py")
    assert told.code == 2
    assert "forward failed on the declared input 1x4x8x8" in told.err


def test_measure_leaves_what_one_size_denies(here: Run, declare) -> None:
    """CL104 is exact at every size and timed; CL102 is not, and said so."""
    declare(ONE_ONLY)
    told = here("measure", "dilated.py", "--seconds", "0.01", "--format", "json")
    assert told.code == 0, told.err
    reply = json.loads(told.out)
    assert {change["code"] for change in reply["changes"]} == {"CL104"}
    assert reply["notes"] == [f"left CL102 dead-taps at wide: {REASON}"]
    nothing = here("measure", "dilated.py", "--rules", "CL102", "--seconds", "0.01")
    assert "no exact rewrite to time\nleft CL102 dead-taps at wide" in nothing.out


def test_fix_edits_a_line_once_for_both_sizes(run: Run, declare, project: Path) -> None:
    """The same layer at two sizes is one layer of the line."""
    declare(BOTH)
    told = run("fix", "dilated.py", "--select", "CL104", "--write")
    assert told.code == 0, told.err
    fixed = NET.replace("nn.Conv2d(16, 8, 1, dilation=2)", "nn.Conv2d(16, 8, 1, dilation=1)")
    assert (project / "dilated.py").read_text() == fixed


def test_the_next_command_names_the_model_as_it_can_be_typed(run: Run, declare) -> None:
    """The size that tells reports apart is no part of a target."""
    declare(BOTH)
    assert "next: convlint apply 'dilated.py:Net()'  #" in run("--select", "CL102").out


def test_what_holds_at_a_guessed_size_is_shown_and_left(here: Run, project: Path) -> None:
    """The assumption is part of the finding, in no total, and apply says what it lacks."""
    text = NET.replace("padding=12, dilation=12", "padding=300, dilation=300")
    (project / "guessed.py").write_text(text)
    shown = here("guessed.py", "--select", "CL102", "--format", "json")
    (model,) = json.loads(shown.out)["models"]
    assert model["inputs"][0]["origin"] == "inferred"
    assert codes(model) == ["CL102"]
    assert "the input size was guessed: --input sets it" in model["findings"][0]["risk"]
    assert model["after"]["exact"] == model["after"]["all"] == model["totals"]
    assert "next: convlint rule CL102" in here("guessed.py", "--select", "CL102").out
    left = here("apply", "guessed.py", "--rules", "CL102")
    assert left.code == 0
    assert "no rewrite was made" in left.out
    assert "left CL102 dead-taps at wide: it holds at this input size only, which was" in left.out
