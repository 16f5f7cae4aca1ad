"""What is typed wrong: one line on stderr, exit code 2, nothing on stdout, nothing run."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from convlint import pipeline
from tests.cli.conftest import Run


class NoSandbox(contextlib.nullcontext[None]):
    """Stands where torch would be started; nothing here gets as far as to need it."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "nothing to check: no target, and pyproject.toml declares no models"),
        ("nte.py", "nte.py: no such file or folder; did you mean net.py?"),
        ("net.py --baseline no.json", "no.json: the baseline cannot be read"),
        ("net.py --write-baseline no/b.json", "--write-baseline no/b.json: there is no folder no"),
        ("net.py --base main", "main: git finds no repository here"),
        ("chek net.py", "did you mean the command check?"),
        ("empty", "empty: no Python file to check in this folder"),
        ("plain", "plain: no model in this folder"),
        ("notes.txt", "notes.txt: not a Python file"),
        ("net.py:Net(", "is not valid Python"),
        ("net.py:", "is not valid Python"),
        ("net.py util.py --model Net", "--model goes with one file, not 2 targets"),
        ("plain --model Net", "--model cannot go with plain"),
        ("net.py --slect CL1", "no such option --slect; did you mean --select?"),
        ("net.py --nothing", "no such option --nothing"),
        ("net.py --select CL999", "--select: unknown rule 'CL999'"),
        ("net.py --ignore large-kernal", "did you mean large-kernel?"),
        ("net.py --extend-select CL1,nope", "--extend-select: unknown rule 'nope'"),
        ("net.py --fail-level warn", "--fail-level: unknown value 'warn'; did you mean warning?"),
        ("net.py --profile gpu", "did you mean gpu-fp16 or gpu-int8?"),
        ("net.py --format jsn", "--format: unknown report 'jsn'; did you mean json?"),
        ("net.py --report jsn=x", "--report: unknown report 'jsn'; did you mean json?"),
        ("net.py --report json", "--report: 'json' names no file"),
        ("net.py --report json=empty", "--report json=empty: is a folder"),
        ("net.py --report json=no/x.json", "there is no folder no"),
        ("net.py --report json=a --report html=a", "two reports are to be written there"),
        ("net.py --input 1,3,8", "--input: '1,3,8' is not a shape"),
        ("net.py --timeout x", "--timeout"),
        ("net.py --timeout 0", "--timeout"),
        ("net.py --jobs -1", "--jobs"),
        ("net.py --memory lots", "--memory: 'lots' is no amount of memory"),
        ("net.py --memory 1k", "too little"),
        ("net.py --python nope", "--python nope: no such interpreter"),
        ("net.py --config nope.toml", "--config nope.toml: no such file"),
        ("net.py --config", "requires an argument"),
        ("rule nope", "unknown rule 'nope'"),
        ("rule dence-conv", "did you mean dense-conv?"),
        ("rule CL101 CL102", "unexpected extra argument"),
        ("config --profile x", "--profile: unknown value 'x'"),
    ],
)
def test_a_mistake_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, said: str
) -> None:
    """It says what was seen and what to type instead; no model is read."""
    monkeypatch.setattr(pipeline, "Sandbox", NoSandbox)
    result = run(*typed.split())
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert result.err.startswith("error: ")
    assert said in result.err


def test_a_bad_setting_is_one_line(run: Run, project: Path) -> None:
    """A mistake in pyproject.toml names the file and the key."""
    (project / "pyproject.toml").write_text("[tool.convlint]\nselct = []\n")
    result = run("net.py")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: pyproject.toml: tool.convlint: unknown key selct; did you mean select?\n"
    )


def test_a_bug_is_one_line_and_a_trace_with_v(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of ours is told without a traceback, unless asked for one."""

    def crash(*_: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(pipeline, "check", crash)
    result = run("net.py")
    assert result.code == 2
    assert result.err == (
        "error: internal error: ZeroDivisionError: a b; run again with -v for the trace\n"
    )
    assert "Traceback" in run("net.py", "-v").err
