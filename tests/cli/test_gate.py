"""The gate on real files in a real repository: turn on, worsen, mend, rename, prune."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import NET, Run

TABLE = """
[tool.convlint]
select = ["CL1"]
"""
MODEL = """
[[tool.convlint.models]]
target = "net.py:Net"
inputs = ["1x3x32x32"]
"""


@pytest.fixture
def repository(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose first commit holds one model with a known kind of waste."""
    for name in ("needs.py", "boom.py", "broken.py", "util.py", "notes.txt", "plain/util.py"):
        (project / name).unlink()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    (project / "pyproject.toml").write_text(TABLE)
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project)
    return project


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it printed."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def last(out: str) -> str:
    """Return the last line of a report."""
    return out.rstrip().splitlines()[-1]


def test_a_baseline_through_its_life(run: Run, repository: Path) -> None:
    """Turned on, worsened, mended, renamed and pruned."""
    assert run("net.py").code == 1
    written = run("net.py", "--write-baseline", "b.json")
    assert written.code == 0
    assert "1 entry" in written.err
    known = run("net.py", "--baseline", "b.json")
    assert known.code == 0
    assert "0 new, 1 known" in last(known.out)

    edit(repository / "net.py", "64, 7, padding=3", "64, 9, padding=4")
    worse = run("net.py", "--baseline", "b.json", "-q")
    assert (worse.code, "1 new, 0 known" in last(worse.out)) == (1, True)
    assert "no longer found" not in worse.err

    edit(repository / "net.py", "64, 9, padding=4", "64, 7, padding=3")
    (repository / "nets").mkdir()
    (repository / "net.py").rename(repository / "nets" / "wide.py")
    edit(repository / "nets" / "wide.py", "class Net", "# moved down\n\n\nclass Net")
    moved = run("nets/wide.py", "--baseline", "b.json")
    assert (moved.code, "0 new, 1 known" in last(moved.out)) == (0, True)

    edit(repository / "nets" / "wide.py", "64, 7, padding=3", "64, 3, padding=1")
    mended = run("nets", "--baseline", "b.json")
    assert mended.code == 0
    assert "warning: b.json: 1 entry (CL101 net.py:Net) is no longer found" in mended.err
    assert "--prune-baseline" in mended.err
    assert run("nets", "--baseline", "b.json", "--strict-baseline").code == 1
    assert run("nets", "--baseline", "b.json", "--prune-baseline").code == 0
    assert json.loads((repository / "b.json").read_text())["findings"] == []
    assert run("nets", "--baseline", "b.json", "--strict-baseline").code == 0


def test_the_configured_baseline_is_used_and_missed(run: Run, repository: Path) -> None:
    """A baseline named in pyproject counts from any folder; a missing one is 2."""
    edit(repository / "pyproject.toml", "select", 'baseline = "b.json"\nselect')
    missing = run("net.py")
    assert missing.code == 2
    assert "the baseline cannot be read" in missing.err
    assert run("net.py", "--write-baseline", "b.json").code == 0
    assert run("net.py").code == 0
    report = json.loads(run("net.py", "--format", "json").out)
    assert report["baseline"] == "b.json"
    assert report["models"][0]["findings"][0]["baseline"] == "known"
    assert report["summary"]["known"] == 1


def test_writing_keeps_what_was_not_looked_at(run: Run, repository: Path) -> None:
    """The entries of other models stay; no other file is taken for a baseline."""
    (repository / "two.py").write_text(NET.replace("Net", "Two"))
    run(".", "--write-baseline", "b.json")
    assert "1 entry" not in run("two.py", "--write-baseline", "b.json").err
    assert len(json.loads((repository / "b.json").read_text())["findings"]) == 2
    refused = run("two.py", "--write-baseline", "two.py")
    assert (refused.code, "is not written over" in refused.err) == (2, True)
    assert "class Two" in (repository / "two.py").read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--baseline", "no.json"), "cannot be read"),
        (("--prune-baseline",), "there is no baseline"),
        (("--strict-baseline",), "there is no baseline"),
        (("--write-baseline", "no/b.json"), "there is no folder no"),
        (("--write-baseline", "."), "is a folder"),
        (("--base", "nope"), "nope: no such revision"),
        (("--base", "--upload-pack=x"), "no such revision"),
    ],
)
def test_what_cannot_be_served_is_two(
    run: Run, repository: Path, flags: tuple[str, ...], said: str
) -> None:
    """Before any model is built, with one line."""
    result = run("net.py", *flags)
    assert result.code == 2
    assert said in result.err
    assert result.out == ""


def test_a_limit_is_checked_suppressed_and_put_into_the_baseline(
    run: Run, repository: Path
) -> None:
    """A budget is a rule: level, comment, ignore and baseline hold for it."""
    limit = f'{TABLE.replace("CL1", "CL7")}{MODEL}max-macs = "10 MMACs"\n'
    (repository / "pyproject.toml").write_text(limit)
    broken = run()
    assert broken.code == 1
    assert "net.py:5:1: CL701 max-macs [error]" in broken.out
    assert "over the limit of 10 MMACs; " in broken.out
    assert run("--ignore", "max-macs").code == 0
    assert run("--write-baseline", "b.json").code == 0
    assert run("--baseline", "b.json").code == 0
    edit(repository / "net.py", "64, 7, padding=3", "65, 7, padding=3")
    assert run("--baseline", "b.json").code == 1
    edit(
        repository / "net.py",
        "class Net(nn.Module):",
        "class Net(nn.Module):  # convlint: ignore[CL701] agreed",
    )
    assert run().code == 0
    severity = '[tool.convlint.rules.max-macs]\nseverity = "info"\n'
    edit(repository / "net.py", "  # convlint: ignore[CL701] agreed", "")
    (repository / "pyproject.toml").write_text(limit + severity)
    assert run().code == 0


def test_a_base_decides_on_graphs_not_on_lines(run: Run, repository: Path) -> None:
    """What the base has too is known, moved or not; a width in a config file is caught."""
    (repository / "width.txt").write_text("64")
    edit(
        repository / "net.py",
        "nn.Conv2d(32, 64, 7, padding=3)",
        "nn.Conv2d(32, int(open('width.txt').read()), 7, padding=3)",
    )
    (repository / "pyproject.toml").write_text(
        f'{TABLE}extend-select = ["CL7"]\n{MODEL}max-macs-increase = "5%"\n'
    )
    commit(repository)
    edit(repository / "net.py", "class Net", "# a line more\n\n\nclass Net")
    same = run("--base", "main")
    assert same.code == 0
    assert "0 new, 1 known" in last(same.out)
    assert "CL711" not in same.out

    (repository / "width.txt").write_text("80")
    wider = run("--base", "main", "--format", "json")
    assert wider.code == 1
    report = json.loads(wider.out)
    (model,) = report["models"]
    assert {f["code"]: f["baseline"] for f in model["findings"]} == {
        "CL101": "new",
        "CL711": "new",
    }
    assert report["base"] == "main"
    assert model["base"]["macs"] < model["totals"]["macs"]
    (budget,) = model["budgets"]
    assert budget["base"] == model["base"]["macs"]


def test_the_users_tree_is_untouched(run: Run, repository: Path) -> None:
    """Neither files nor index nor branches change, staged and unstaged work included."""
    edit(repository / "net.py", "64, 7", "96, 7")
    git(repository, "add", "net.py")
    edit(repository / "net.py", "96, 7", "97, 7")
    (repository / "new.txt").write_text("untracked")
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    before = state(repository)
    assert run("net.py", "--base", "HEAD", "--no-cache").code == 1
    assert run("compare", "HEAD", "HEAD", "net.py").code == 0
    assert state(repository) == before


def state(folder: Path) -> dict[str, Any]:
    """Return all that a command of ours must leave alone."""
    return {
        "status": git(folder, "status", "--porcelain", "--branch", "--ignored"),
        "staged": git(folder, "diff", "--cached"),
        "files": {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()},
        "branches": git(folder, "for-each-ref"),
        "worktrees": git(folder, "worktree", "list"),
        "left": sorted(p.name for p in (folder / ".git").glob("worktrees/*")),
    }


def test_compare_two_revisions(run: Run, repository: Path) -> None:
    """Totals, the layer that changed and the finding that is fixed, in three formats."""
    edit(repository / "net.py", "64, 7, padding=3", "64, 3, padding=1")
    commit(repository)
    text = run("compare", "HEAD~1", "HEAD")
    assert text.code == 0
    assert "~ body conv: " in text.out
    assert "fixed  net.py:9: CL101 large-kernel" in text.out
    assert "0 new findings, 1 fixed" in last(text.out)
    back = run("compare", "HEAD", "HEAD~1", "--format", "json")
    assert back.code == 1
    told = json.loads(back.out)
    (model,) = told["models"]
    assert (model["status"], [f["code"] for f in model["new"]]) == ("changed", ["CL101"])
    assert model["head"]["macs"] > model["base"]["macs"]
    assert [c["head"]["module"] for c in model["layers"]] == ["body"]
    mark = run("compare", "HEAD~1", "--format", "markdown")
    assert mark.out.startswith("### convlint: no new findings, 1 fixed\n")
    assert "| `net.py:Net` |" in mark.out


def test_compare_reports_and_models(run: Run, repository: Path) -> None:
    """Two JSON reports, and two models of different names, are told apart the same way."""
    (repository / "thin.py").write_text(NET.replace("Net", "Thin").replace("64, 7", "32, 7"))
    run("net.py", "--report", "json=old.json", "--exit-zero")
    run("thin.py", "--report", "json=new.json", "--exit-zero")
    reports = run("compare", "old.json", "new.json", "--format", "json")
    models = run("compare", "net.py:Net", "thin.py:Thin", "--format", "json")
    for result in (reports, models):
        (model,) = json.loads(result.out)["models"]
        assert (model["target"], model["base_target"]) == ("thin.py:Thin", "net.py:Net")
        assert [c["head"]["module"] for c in model["layers"]] == ["body"]
        assert (len(model["new"]), model["known"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no.json", "b.json"), "cannot be read"),
        (("main", "net.py:Net", "--format", "x"), "'x' is not one of"),
        (("net.py",), "a target alone"),
        (("net.py", "main"), "net.py is a target and main is a git revision"),
        (("nothing",), "nothing: no such revision, file or folder"),
        (("bad.json", "bad.json"), "is no JSON report"),
        (("evil.json", "evil.json"), "names a file outside the project: ../../etc/passwd"),
    ],
)
def test_compare_refuses_what_it_cannot_compare(
    run: Run, repository: Path, words: tuple[str, ...], said: str
) -> None:
    """Exit 2 and one line."""
    (repository / "bad.json").write_text('{"schema_version": 1, "models": []}')
    location = {"path": "../../etc/passwd", "line": 1}
    found = {
        **dict.fromkeys(("code", "name", "message", "fingerprint"), "x"),
        "severity": "info",
        "exact": True,
        "modules": [],
        "related": [],
        "saving": {},
        "location": location,
    }
    evil = {"target": "x", "status": "complete", "findings": [found]}
    tool = {"name": "convlint", "version": "0"}
    (repository / "evil.json").write_text(
        json.dumps({"schema_version": 1, "tool": tool, "models": [evil]})
    )
    result = run("compare", *words)
    assert result.code == 2
    assert said in result.err


def test_init_turns_the_gate_on_and_tighten_lowers_it(run: Run, repository: Path) -> None:
    """From today's state nothing counts, what is worse does, and what is better stays so."""
    (repository / "pyproject.toml").write_text('[project]\nname = "x"  # ours\n')
    assert run("net.py").code == 1
    made = run("init")
    assert (made.code, "1 model declared" in made.out) == (0, True)
    text = (repository / "pyproject.toml").read_text()
    assert text.startswith('[project]\nname = "x"  # ours\n\n[tool.convlint]\n')
    assert run().code == run(".").code == 0
    assert run("init").code == 2
    assert (repository / "pyproject.toml").read_text() == text

    edit(repository / "net.py", "32, 64, 7", "32, 65, 7")
    assert "CL701 max-macs [error]" in run().out
    edit(repository / "net.py", "32, 65, 7", "32, 48, 7")
    assert run().code == 0
    assert "max-macs" in run("init", "--tighten").out
    lower = (repository / "pyproject.toml").read_text()
    assert lower != text
    assert run("init", "--tighten").out == "no limit can be lowered\n"
    edit(repository / "net.py", "32, 48, 7", "32, 64, 7")
    assert run().code == 1
    assert run("init", "--tighten").code == 1
    assert (repository / "pyproject.toml").read_text() == lower


def test_init_without_a_model_writes_nothing(run: Run, repository: Path) -> None:
    """A project without models is told so and left as it is."""
    (repository / "net.py").unlink()
    (repository / "pyproject.toml").unlink()
    (repository / "a.py").write_text("x = 1\n")
    assert run("init").code == 2
    assert not (repository / "pyproject.toml").exists()
    assert not (repository / "convlint-baseline.json").exists()
