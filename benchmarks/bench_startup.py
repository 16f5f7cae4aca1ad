"""Times whole commands, a fresh process each: best and median of five, in seconds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 5
COMMANDS = (
    ("--help",),
    ("rule", "CL101"),
    ("examples/lenet.py",),
    ("examples/grouped_net.py",),
    ("examples/",),
)


def time_command(arguments: tuple[str, ...]) -> list[float]:
    """Return the seconds of every run; raise RuntimeError where convlint exits with 2 or more."""
    command = [str(Path(sys.executable).with_name("convlint")), *arguments]
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        if run.returncode > 1:
            raise RuntimeError(f"{command} exited with {run.returncode}: {run.stderr}")
    return seconds


def main() -> None:
    """Print one line a command."""
    print(f"{'best':>6}  {'median':>6}")
    for arguments in COMMANDS:
        seconds = time_command(arguments)
        best, median = min(seconds), statistics.median(seconds)
        print(f"{best:6.2f}  {median:6.2f}  convlint {' '.join(arguments)}")


if __name__ == "__main__":
    main()
