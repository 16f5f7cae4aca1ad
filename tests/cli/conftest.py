"""Runs the command line in a project of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from convlint import cli

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.body = nn.Conv2d(32, 64, 7, padding=3)

    def forward(self, x):
        return self.body(self.stem(x).relu())


if __name__ == "__main__":
    Net()(torch.randn(1, 3, 32, 32))
"""
NEEDS = """\
from torch import nn


class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x):
        return self.conv(x)
"""
BOOM = "print('loud')\n" + NET.replace("super().__init__()", "raise RuntimeError('boom')")


@dataclass(frozen=True, slots=True)
class Result:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a good model, one that needs arguments, one that breaks, and no model."""
    monkeypatch.chdir(tmp_path)
    files = {
        "pyproject.toml": "[project]\nname = 'x'\n",
        "net.py": NET,
        "needs.py": NEEDS,
        "boom.py": BOOM,
        "broken.py": "import torch\nclass Net(nn.Module:\n",
        "util.py": "x = 1\n",
        "notes.txt": "",
        "plain/util.py": "x = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run convlint in the project."""

    def call(*arguments: str) -> Result:
        code = cli.main(arguments)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call
