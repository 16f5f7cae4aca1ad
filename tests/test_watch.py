"""--watch: every saved change is checked by the process that is warm already."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

CONVLINT = str(Path(sys.executable).with_name("convlint"))
NET = """\
from torch import nn

from parts import block


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = block(16)

    def forward(self, x):
        return self.body(x)
"""
PARTS = """\
from torch import nn


def block(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.Conv2d(width, width, 7))
"""
LONG = 60.0


def _hear_sigint() -> None:
    """Undo what a shell does to its background jobs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Watched:
    """A running ``convlint --watch`` and the lines that it says on stderr and stdout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, CONVLINT, "net.py", "--watch", "--exit-zero"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_hear_sigint,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def until_it_waits(self) -> str:
        """Return all that it says before it waits for the next change."""
        said = ""
        while not said.rpartition("\n")[0].rpartition("\n")[2].startswith("watching "):
            said += self._lines.get(timeout=LONG)
        return said

    def save(self, name: str, text: str) -> None:
        """Save a file as editors do: beside, then in its place."""
        beside = self.folder / f"{name}.tmp~"
        beside.write_text(text)
        beside.replace(self.folder / name)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "parts.py").write_text(PARTS)
    running = Watched(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


def test_every_change_is_checked_anew(watched: Watched) -> None:
    """The file, a file it imports, a syntax error that goes away, the configuration; Ctrl-C."""
    first = watched.until_it_waits()
    assert "CL101" in first and "parts.py:5" in first

    watched.save("parts.py", PARTS.replace("width, 7)", "width, 3)"))
    mended = watched.until_it_waits()
    assert "changed: parts.py" in mended and "CL101" not in mended and "net.py:Net" in mended

    watched.save("net.py", NET.replace("def forward(self, x):", "def forward(self, x:"))
    broken = watched.until_it_waits()
    assert "net.py:11" in broken and "error" in broken

    watched.save("net.py", NET.replace("block(16)", "block(24)"))
    back = watched.until_it_waits()
    assert "error: net.py" not in back and "net.py:Net  complete" in back

    watched.save("parts.py", PARTS)
    assert "CL101" in watched.until_it_waits()
    watched.save("pyproject.toml", "[tool.convlint]\nignore = ['CL101']\n")
    assert "CL101" not in watched.until_it_waits()
    watched.save("pyproject.toml", "[tool.convlint]\nignor = []\n")
    assert "unknown key ignor" in watched.until_it_waits()

    watched.process.send_signal(signal.SIGINT)
    assert watched.process.wait(LONG) == 130
