"""The GitHub Action and its comment: their shell steps, run as GitHub runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
ACTION = ROOT / "action.yml"
COMMENT = ROOT / ".github" / "actions" / "comment" / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BAD = (ROOT / "examples" / "grouped_net.py").read_text()
GOOD = (ROOT / "examples" / "clean_net.py").read_text()
LOST = 900_000

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the steps are bash")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a step came to."""

    code: int
    out: str
    err: str
    outputs: dict[str, str]
    summary: str


def load(path: Path) -> dict[str, Any]:
    """Return an action or a workflow."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def step(path: Path, name: str) -> dict[str, Any]:
    """Return a step of a composite action by its name."""
    (found,) = (s for s in load(path)["runs"]["steps"] if s["name"] == name)
    result: dict[str, Any] = found
    return result


def run_step(
    path: Path,
    name: str,
    folder: Path,
    inputs: Mapping[str, str],
    context: Mapping[str, str] | None = None,
    search: Path | None = None,
) -> Ran:
    """Run a step the way GitHub does: expressions put into env alone, files for outputs."""
    action, wanted = load(path), step(path, name)
    assert "${{" not in wanted["run"]
    values = {key: str(item.get("default", "")) for key, item in action["inputs"].items()} | inputs

    def fill(text: str) -> str:
        def value(match: re.Match[str]) -> str:
            kind, _, key = match[1].strip().partition(".")
            return values[key] if kind == "inputs" else (context or {})[match[1].strip()]

        return re.sub(r"\$\{\{(.*?)\}\}", value, str(text))

    files = {key: folder.parent / f"{key}.txt" for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    temporary = folder.parent / "runner temp"
    temporary.mkdir(exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB")}
    environment |= {key: fill(text) for key, text in wanted.get("env", {}).items()}
    environment |= {key: str(file) for key, file in files.items()} | {"RUNNER_TEMP": str(temporary)}
    if search is not None:
        environment["PATH"] = f"{search}{os.pathsep}{environment['PATH']}"
    script = folder.parent / "step.sh"
    script.write_text(wanted["run"])
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
    where = folder / fill(wanted.get("working-directory", "."))
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)
    lines = files["GITHUB_OUTPUT"].read_text().splitlines()
    outputs = dict(line.split("=", 1) for line in lines)
    summary = files["GITHUB_STEP_SUMMARY"].read_text()
    return Ran(done.returncode, done.stdout, done.stderr, outputs, summary)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a bad model and a good one."""
    folder = tmp_path / "work space"
    folder.mkdir()
    (folder / "bad net.py").write_text(BAD)
    (folder / "good.py").write_text(GOOD)
    return folder


def check(folder: Path, **inputs: str) -> Ran:
    """Run the checking step; ``fail_level="none"`` is the input fail-level."""
    given = {key.replace("_", "-"): value for key, value in inputs.items()}
    return run_step(ACTION, "Check the models", folder, {"python": sys.executable, **given})


def test_findings_annotate_fill_the_summary_and_fail(project: Path) -> None:
    """Exit code, outputs, annotations on stdout and the report in the summary."""
    ran = check(
        project, targets="bad net.py\ngood.py\n", sarif_file="out.sarif", html_report="r.html"
    )
    assert ran.code == 1, ran.err
    assert ran.outputs["exit-code"] == "1"
    assert int(ran.outputs["new-findings"]) == int(ran.outputs["findings"]) > 0
    assert int(ran.outputs["macs-saved"]) >= 0
    commands = [line for line in ran.out.splitlines() if line]
    assert all(re.match(r"::(error|warning|notice) ", line) for line in commands)
    assert any("file=bad net.py,line=37" in line for line in commands)
    assert "CL101" in ran.summary
    assert ran.outputs["sarif-file"] == "out.sarif"
    assert json.loads((project / "out.sarif").read_text())["version"] == "2.1.0"
    assert (project / "r.html").stat().st_size > 1000
    assert json.loads(Path(ran.outputs["report"]).read_text())["schema_version"] == 1


def test_a_clean_run_passes(project: Path) -> None:
    """Nothing on stdout, the summary says so, no SARIF where none was asked for."""
    ran = check(project, targets="good.py", args="--select\nCL101\n")
    assert (ran.code, ran.out.strip()) == (0, "")
    assert (ran.outputs["exit-code"], ran.outputs["new-findings"]) == ("0", "0")
    assert "sarif-file" not in ran.outputs
    assert ran.summary


def test_a_level_lets_findings_pass(project: Path) -> None:
    """fail-level none is how a label makes findings warn alone."""
    ran = check(
        project, targets="bad net.py", fail_level="none", annotations="false", summary="false"
    )
    assert (ran.code, ran.summary) == (0, "")
    assert "CL101 large-kernel" in ran.out


def test_what_could_not_be_done_is_two(project: Path) -> None:
    """A missing target has no report; outputs and summary say what is known."""
    ran = check(project, targets="missing.py")
    assert ran.code == 2
    assert ran.outputs == {"exit-code": "2"}
    assert "convlint exited with 2" in ran.summary
    assert "missing.py: no such file" in ran.err


@pytest.mark.parametrize("evil", ["$(touch owned)", "`touch owned`", "; touch owned", "--help"])
def test_inputs_are_words_not_code(project: Path, evil: str) -> None:
    """Nothing in an input is run by the shell, and a target is never an option."""
    ran = check(project, targets=f"good.py\n{evil}", baseline=evil, config="")
    assert ran.code == 2
    assert not (project / "owned").exists()


FAKE = """#!/bin/sh
printf '%s\\n' "$*" >> "$(dirname "$0")/calls"
"""


@pytest.mark.parametrize(
    ("torch", "code", "installs"),
    [("", 0, ["/source dir"]), ("cpu", 0, ["torch --index-url", "/source dir"]), ("cuda", 2, [])],
)
def test_convlint_is_installed_and_torch_where_asked_for(
    project: Path, tmp_path: Path, torch: str, code: int, installs: list[str]
) -> None:
    """torch is the job's own unless the CPU build is asked for by name."""
    python = tmp_path / "python"
    python.write_text(FAKE)
    python.chmod(0o755)
    inputs = {"python": str(python), "install-torch": torch}
    ran = run_step(
        ACTION, "Install convlint", project, inputs, {"github.action_path": "/source dir"}
    )
    assert ran.code == code
    calls = tmp_path / "calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    assert len(lines) == len(installs)
    for line, words in zip(lines, installs, strict=True):
        assert line.startswith("-m pip install")
        assert words in line


def test_no_step_puts_an_expression_into_a_script() -> None:
    """Inputs reach scripts through the environment alone, everywhere."""
    for path in (ACTION, COMMENT):
        for each in load(path)["runs"]["steps"]:
            assert each["shell"] == "bash"
            assert "${{" not in each["run"]
    for path in WORKFLOWS:
        for job in load(path)["jobs"].values():
            for each in job["steps"]:
                assert "${{" not in each.get("run", "") or "github.event" not in each["run"]


def test_outputs_are_those_that_the_step_writes() -> None:
    """Every output of the action is set by the checking step."""
    outputs = load(ACTION)["outputs"]
    script = step(ACTION, "Check the models")["run"]
    for name, item in outputs.items():
        assert item["value"] == f"${{{{ steps.check.outputs.{name} }}}}"
        assert f"{name}=" in script


# --- the comment ----------------------------------------------------------------------------

GH = """\
#!/usr/bin/env python3
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (folder / "calls.jsonl").open("a") as log:
    body = next((w[6:] for w in words if w.startswith("body=@")), None)
    text = pathlib.Path(body).read_text() if body else None
    log.write(json.dumps([words, text]) + "\\n")
if any(w.endswith("/comments") for w in words) and "POST" not in words:
    sys.stdout.write((folder / "comments").read_text())
elif any("/pulls/" in w for w in words):
    print("abc123")
"""


@pytest.fixture
def gh(tmp_path: Path) -> Path:
    """A folder with a gh that remembers its calls; `comments` holds the ids it answers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    (folder / "comments").write_text("")
    return folder


def comment(project: Path, gh: Path, number: str, report: str, sha: str = "abc123") -> Ran:
    """Run the commenting step on an artifact."""
    folder = project / "artifact"
    folder.mkdir(exist_ok=True)
    (folder / "number").write_text(number)
    (folder / "report.json").write_text(report)
    context = {"github.repository": "me/net", "github.token": "t"}
    inputs = {"folder": "artifact", "sha": sha, "python": sys.executable, "token": "t"}
    return run_step(COMMENT, "Comment", project, inputs, context, search=gh)


def calls(gh: Path) -> list[tuple[list[str], str | None]]:
    """Return the words and the body of each call of gh."""
    log = gh / "calls.jsonl"
    return (
        [tuple(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []
    )


def report(project: Path) -> str:
    """Return the JSON report of the bad model."""
    ran = check(project, targets="bad net.py")
    return Path(ran.outputs["report"]).read_text()


def test_the_first_comment_is_written_and_the_next_one_updates_it(project: Path, gh: Path) -> None:
    """One comment, found by its marker: POST where there is none, PATCH where there is."""
    text = report(project)
    first = comment(project, gh, "7\n", text)
    assert first.code == 0, first.err
    words, body = calls(gh)[-1]
    assert "POST" in words
    assert "repos/me/net/issues/7/comments" in words
    assert body is not None
    assert body.splitlines()[0] == "<!-- convlint -->"
    assert "new warning" in body.splitlines()[1]
    (gh / "comments").write_text("41\n42\n")
    assert comment(project, gh, "7", text).code == 0
    words, _ = calls(gh)[-1]
    assert "PATCH" in words
    assert "repos/me/net/issues/comments/41" in words


@pytest.mark.parametrize("number", ["", "x", "7; id", "7/../8", "-1", "7\n8"])
def test_a_number_that_is_none_is_refused(project: Path, gh: Path, number: str) -> None:
    """The artifact is data of the pull request: only digits are taken."""
    ran = comment(project, gh, number, "{}")
    assert ran.code == 1
    assert calls(gh) == []


def test_another_pull_request_gets_no_comment(project: Path, gh: Path) -> None:
    """The pull request has to be at the commit that was checked."""
    ran = comment(project, gh, "7", "{}", sha="other")
    assert ran.code == 0
    assert len(calls(gh)) == 1


@pytest.mark.parametrize("text", ["", "{}", "<!-- convlint -->", '{"schema_version": 1}'])
def test_what_is_no_report_is_no_comment(project: Path, gh: Path, text: str) -> None:
    """The report is parsed strictly; nothing else of the artifact reaches the comment."""
    assert comment(project, gh, "7", text).code == 1
    assert len(calls(gh)) == 1


# --- linted ---------------------------------------------------------------------------------


def test_scripts_pass_shellcheck(tmp_path: Path) -> None:
    """Every shell step is clean by shellcheck."""
    tool = shutil.which("shellcheck")
    if tool is None:
        pytest.skip("shellcheck is not installed")
    actions = [each for path in (ACTION, COMMENT) for each in load(path)["runs"]["steps"]]
    jobs = [job for path in WORKFLOWS for job in load(path)["jobs"].values()]
    steps = [*actions, *(each for job in jobs for each in job["steps"])]
    for number, text in enumerate(each["run"] for each in steps if "run" in each):
        script = tmp_path / f"{number}.sh"
        script.write_text(re.sub(r"\$\{\{.*?\}\}", "x", text))
        done = subprocess.run([tool, "--shell=bash", str(script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_actions_and_workflows_fit_githubs_schemas() -> None:
    """Keys and types are those that GitHub knows."""
    pytest.importorskip("check_jsonschema")
    for kind, paths in (("actions", [ACTION, COMMENT]), ("workflows", WORKFLOWS)):
        schema = f"vendor.github-{kind}"
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
        done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_pass_actionlint() -> None:
    """Where actionlint is installed, it has nothing to say."""
    tool = shutil.which("actionlint")
    if tool is None:
        pytest.skip("actionlint is not installed")
    done = subprocess.run([tool, *map(str, WORKFLOWS)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
