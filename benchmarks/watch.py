"""Times ``convlint --watch``: from a saved change of the ResNet-50 file to its report.

    python benchmarks/watch.py                 # 20 saves
    python benchmarks/watch.py --saves 50

Between saves, ``import torch`` is run in a process of its own, so that what else the machine does
falls on both; printed are medians and the ratio.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONVLINT = str(Path(sys.executable).with_name("convlint"))
MODEL = "resnet50.py"
READY = "watching "
"""How the line begins that ends a check."""


def _hear_sigint() -> None:
    """Undo what a shell does to its background jobs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder: Path) -> subprocess.Popen[str]:
    """Return a running ``convlint --watch`` that has checked the model once."""
    process = subprocess.Popen(
        [sys.executable, CONVLINT, MODEL, "--watch", "--exit-zero"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_hear_sigint,
    )
    wait(process)
    return process


def wait(process: subprocess.Popen[str]) -> list[str]:
    """Return what it prints until it waits for the next change; raise RuntimeError if it ends."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        if line.startswith(READY):
            return lines
        lines.append(line)
    raise RuntimeError("convlint --watch ended:\n" + "".join(lines))


def save(process: subprocess.Popen[str], folder: Path, number: int) -> float:
    """Return the seconds from a saved change to the end of its report."""
    file = folder / MODEL
    text = file.read_text(encoding="utf-8")
    time.sleep(0.5)
    started = time.perf_counter()
    file.write_text(f"{text}# {number}\n", encoding="utf-8")
    lines = wait(process)
    seconds = time.perf_counter() - started
    if not any("ResNet50" in line for line in lines):
        raise RuntimeError("no report:\n" + "".join(lines))
    return seconds


def import_torch() -> float:
    """Return the seconds of a process that imports torch."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - started


def main() -> int:
    """Time the saves and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saves", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copy(HERE / "models" / MODEL, folder)
        process = start(folder)
        try:
            pairs = [(save(process, folder, n), import_torch()) for n in range(options.saves)]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    saved, imported = (statistics.median(column) for column in zip(*pairs, strict=True))
    slowest = max(seconds for seconds, _ in pairs)
    print(f"{'':28}{'median s':>10}{'slowest':>10}{'x import torch':>16}")
    print(f"{'save to report, --watch':28}{saved:10.3f}{slowest:10.3f}{saved / imported:16.2f}")
    print(f"{'import torch':28}{imported:10.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
