"""convlint on real files: exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_findings_are_one_and_stdout_is_the_report_alone(run: Run) -> None:
    """A model with a finding exits 1; the JSON report is all of stdout."""
    result = run("net.py", "--format", "json")
    report = json.loads(result.out)
    assert result.code == report["summary"]["exit_code"] == 1
    assert result.err == ""
    (model,) = report["models"]
    assert model["target"] == "net.py:Net"
    assert model["inputs"][0]["shape"] == [1, 3, 32, 32]
    assert model["inputs"][0]["origin"] == "example"
    (finding,) = [f for f in model["findings"] if f["code"] == "CL101"]
    assert finding["location"]["line"] == 9
    assert [line["line"] for line in finding["snippet"]] == [8, 9, 10]


def test_a_level_a_selection_or_exit_zero_decide(run: Run) -> None:
    """Findings count from --fail-level on; --exit-zero never lets them."""
    assert run("net.py", "--fail-level", "error").code == 0
    assert run("net.py", "--ignore", "CL101").code == 0
    assert run("net.py", "--exit-zero").code == 0


def test_a_suppression_counts_apart(run: Run, project: Path) -> None:
    """A suppressed finding stays in the report and leaves exit code 0."""
    text = (project / "net.py").read_text()
    line = "7, padding=3)"
    (project / "net.py").write_text(text.replace(line, f"{line}  # convlint: ignore[CL101] wide"))
    result = run("net.py", "--format", "json")
    report = json.loads(result.out)
    assert (result.code, report["summary"]["suppressed"]) == (0, 1)
    suppressed = {f["code"]: f["suppressed"] for f in report["models"][0]["findings"]}
    assert suppressed["CL101"] == "wide"


def test_one_failure_leaves_the_others(run: Run) -> None:
    """Models that cannot be read are told on stderr, exit 2, and the rest is checked."""
    result = run("net.py", "needs.py", "boom.py", "broken.py", "util.py", "--format", "json")
    assert result.code == 2
    statuses = {m["target"]: m["status"] for m in json.loads(result.out)["models"]}
    assert statuses == {
        "net.py:Net": "complete",
        "needs.py:Needs": "failed",
        "boom.py:Net": "failed",
        "broken.py": "failed",
        "util.py": "failed",
    }
    lines = [line for line in result.err.splitlines() if line.startswith("error: ")]
    places = [line.split(": ")[1] for line in lines]
    assert places[:2] + places[3:] == ["needs.py:4", "boom.py:8", "util.py:1"]
    assert places[2].startswith("broken.py:2:")
    assert "convlint 'needs.py:Needs(width=" in lines[0]
    assert "loud" not in result.out
    assert "boom.py:Net| loud" in result.err


def test_in_a_folder_a_file_that_raises_is_two_and_the_rest_is_told(
    run: Run, project: Path
) -> None:
    """A broken file in a folder makes the run 2 and leaves the other files' findings."""
    (project / "broken.py").unlink()
    result = run(".", "--fail-level", "none", "--format", "json")
    assert result.code == 2
    assert "error: boom.py:8: " in result.err
    findings = [f for m in json.loads(result.out)["models"] for f in m["findings"]]
    assert "CL101" in {finding["code"] for finding in findings}


def test_beside_checked_models_what_needs_arguments_is_a_note(run: Run, project: Path) -> None:
    """A class nobody can build from here does not fail a folder; --strict makes it 2."""
    for name in ("broken.py", "boom.py"):
        (project / name).unlink()
    result = run(".", "--fail-level", "none")
    assert result.code == 0
    assert "note: needs.py:4: " in result.err
    assert run(".", "--fail-level", "none", "--strict").code == 2


def test_beside_a_checked_class_of_its_file_a_failure_is_a_note(run: Run, project: Path) -> None:
    """A second class of the file that raises is told, and does not fail the run."""
    with (project / "net.py").open("a") as file:
        file.write(
            "\n\nclass Other(nn.Module):\n    def __init__(self):\n        raise KeyError('no')\n"
        )
    result = run("net.py", "--fail-level", "none")
    assert result.code == 0
    assert "note: net.py:" in result.err
    assert run("net.py", "--fail-level", "none", "--strict").code == 2


def test_a_hook_skips_what_has_no_model(run: Run) -> None:
    """Files without model or with roots that need arguments say nothing; a broken one is 2."""
    quiet = run("check", "--hook", "--force-exclude", "util.py", "needs.py", "notes.txt")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert run("--hook", "util.py", "boom.py").code == 2
    assert run("--hook", "util.py", "net.py").code == 1


def test_a_hook_honours_excludes_when_forced(run: Run, project: Path) -> None:
    """pre-commit names excluded files; --force-exclude leaves them out."""
    (project / "pyproject.toml").write_text("[tool.convlint]\nexclude = ['boom.py']\n")
    result = run("--hook", "--force-exclude", "boom.py")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_declared_models_are_checked_without_a_target(run: Run, project: Path) -> None:
    """pyproject declares what to check and at which input."""
    (project / "pyproject.toml").write_text(
        "[[tool.convlint.models]]\ntarget = 'needs.py:Needs(4)'\ninputs = ['1x3x16x16']\n"
    )
    result = run("--format", "json")
    (model,) = json.loads(result.out)["models"]
    assert result.code == 0
    assert model["target"] == "needs.py:Needs(4)"
    assert model["inputs"][0] | {"found_at": None} == {
        "shape": [1, 3, 16, 16],
        "dtype": "float32",
        "name": None,
        "origin": "declared",
        "found_at": None,
        "within": [],
        "argument": None,
    }


def test_expressions_inputs_and_model(run: Run) -> None:
    """file.py:EXPR and --model ask for the same; --input is what goes in."""
    shape = ("--input", "2x3x8x8", "--format", "json")
    one = json.loads(run("needs.py:Needs(4)", *shape).out)["models"]
    two = json.loads(run("needs.py", "--model", "Needs(4)", *shape).out)["models"]
    assert one == two
    assert one[0]["inputs"][0]["shape"] == [2, 3, 8, 8]


def test_reports_are_written_beside_stdout(run: Run, project: Path) -> None:
    """--report writes files, tells their paths on stderr, and stdout stays as it is."""
    plain = run("net.py", "--format", "json")
    result = run("net.py", "--format", "json", "--report", "json=a.json", "--report", "html=b.html")
    assert result.out == plain.out
    assert (project / "a.json").read_text() == plain.out
    assert (project / "b.html").stat().st_size > 1000
    assert result.err == "report written to a.json\nreport written to b.html\n"


def _hear_sigint() -> None:
    """Undo what a shell does to what it starts in the background: SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupted_is_130(project: Path) -> None:
    """SIGINT ends the run and its children at once."""
    (project / "slow.py").write_text(
        "import pathlib, time, torch.nn as nn\npathlib.Path('started').touch()\ntime.sleep(60)\n"
        "class Net(nn.Module): pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "convlint", "slow.py"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_sigint,
    )
    until = time.monotonic() + 60
    while not (project / "started").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "error: interrupted"


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise on Windows")
def test_a_reader_that_leaves_is_no_error(project: Path) -> None:
    """``convlint net.py | head -1`` prints no traceback and keeps its exit code."""
    command = f"{sys.executable} -m convlint net.py --format json"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stdout:
        done = subprocess.run(command.split(), stdout=stdout, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


CUSTOM = """\
import torch
from torch import nn


@torch.library.custom_op("convlint_test::fancy", mutates_args=())
def fancy(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@fancy.register_fake
def _(x):
    return torch.empty_like(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return torch.ops.convlint_test.fancy(self.conv(x))
"""


def test_an_operation_nobody_can_count_is_named_and_strict_makes_it_two(
    run: Run, project: Path
) -> None:
    """A custom operator is a warning with its line; --strict does not pass it."""
    (project / "custom.py").write_text(CUSTOM)
    result = run("custom.py", "--format", "json")
    (model,) = json.loads(result.out)["models"]
    assert (result.code, model["status"]) == (0, "partial")
    (word,) = [w for w in model["diagnostics"] if w["code"] == "CL905"]
    assert "fancy" in word["message"] and word["location"]["line"] == 21
    assert run("custom.py", "--strict").code == 2


def test_ctrl_c_reports_what_was_read_and_leaves_nobody_behind(project: Path) -> None:
    """SIGINT: the report so far, exit 130, and no child a second later."""
    (project / "slow.py").write_text(
        CUSTOM.replace("return torch.ops", "import time; time.sleep(60)\n        return torch.ops")
    )
    command = [sys.executable, "-m", "convlint", "net.py", "slow.py", "--jobs", "2", "-v"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=project, stdout=pipe, stderr=pipe, text=True, preexec_fn=_hear_sigint
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        while "net.py:Net" not in process.stderr.readline():
            assert process.poll() is None
        children = _descendants(process.pid)
        assert children
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        out = process.stdout.read()
        assert process.wait(timeout=10) == 130
        assert time.monotonic() - started < 5
    assert "CL101" in out
    time.sleep(1)
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def _descendants(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = dict(tuple(map(int, line.split())) for line in done.stdout.splitlines())
    found, waiting = [], [pid]
    while waiting:
        above = waiting.pop()
        below = [child for child, parent in parents.items() if parent == above]
        found += below
        waiting += below
    return found
