"""A report that somebody else brings: installed as a distribution, found, typed, written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MODULE = """\
from convlint.contract import ReportFormat


def render(run, view):
    lines = [f"{model.target} {model.totals.macs}" for model in run.models]
    return "\\n".join(["acme", *lines]) + "\\n"


def reports():
    return (ReportFormat("acme-lines", "a line a model", render),)
"""
NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv(x)
"""


def install(site: Path) -> None:
    """Lay a distribution into a folder as pip would: the module and its metadata."""
    (site / "acme_reports.py").write_text(MODULE)
    facts = site / "acme_reports-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-reports\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[convlint.reports]\nacme = acme_reports:reports\n", encoding="utf-8"
    )


def convlint(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the distribution's folder on the path."""
    site = folder / "site"
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "convlint", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_an_installed_report_is_a_format_like_any_other(tmp_path: Path) -> None:
    """It is written on stdout and to a file, and named where a name is mistyped."""
    (tmp_path / "site").mkdir()
    install(tmp_path / "site")
    (tmp_path / "net.py").write_text(NET)
    size = ("--input", "1x3x16x16", "--exit-zero")
    done = convlint(
        tmp_path, "net.py", *size, "--format", "acme-lines", "--report", "acme-lines=o.txt"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"acme\nnet.py:Net {3 * 8 * 9 * 16 * 16}\n"
    assert (tmp_path / "o.txt").read_text() == done.stdout
    wrong = convlint(tmp_path, "net.py", "--format", "acme-line")
    assert wrong.returncode == 2 and "acme-lines" in wrong.stderr
