"""The bar on stderr: only on a terminal, only where work takes a while, and gone at the end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from convlint.cli.progress import Bar

SLOW = (
    "import time, torch\n"
    "class Net(torch.nn.Module):\n"
    "    def __init__(self):\n"
    "        super().__init__()\n"
    "        time.sleep(4)\n"
    "        self.conv = torch.nn.Conv2d(3, 4, 3)\n"
    "    def forward(self, x):\n"
    "        return self.conv(x)\n"
)


def watched(folder: Path, **environ: str) -> tuple[str, str]:
    """(stdout, what a terminal got on stderr) of a check of a slow model."""
    (folder / "slow.py").write_text(SLOW)
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "convlint", "slow.py", "--exit-zero"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **environ}
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    os.set_blocking(master, False)
    seen = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(master)
    return done.stdout.decode(), seen.decode()


def test_a_terminal_sees_the_bar_and_stdout_only_the_report(tmp_path: Path) -> None:
    """It counts models, erases itself, and leaves stdout alone."""
    out, err = watched(tmp_path)
    assert "reading models" in err and "0/1" in err
    assert err.rstrip().endswith(("\x1b[2K", "\x1b[?25h")) or "\x1b[2K" in err
    assert "reading models" not in out and "slow.py:Net" in out


def test_a_dumb_terminal_sees_none(tmp_path: Path) -> None:
    """What cannot redraw a line gets no bar."""
    assert watched(tmp_path, TERM="dumb")[1] == ""


@pytest.mark.parametrize("watched", [True, False])
def test_short_work_shows_nothing(watched: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the delay is over there is no bar, nor where nobody watches."""
    with Bar(watched=watched, delay=60 if watched else 0) as bar:
        bar.expect(2)
        bar.hear(None)
    assert capsys.readouterr() == ("", "")


def test_the_bar_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """All models of all runs it hears of."""
    with Bar(watched=True, delay=60) as bar:
        bar._show()
        for count in (2, 3):
            bar.expect(count)
        bar.hear(None)
        task = bar._shown.tasks[0]
        assert (task.completed, task.total) == (1, 5)
    assert bar._shown is None
