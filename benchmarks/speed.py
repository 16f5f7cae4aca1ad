"""Times whole commands beside each other: convlint and the counters people use, ResNet-50 each.

Every command is a process of its own, started in turn, so that what else the machine does falls
on all alike; printed are medians and ratios to ``import torch`` alone. Seconds mean nothing on a
busy machine, the ratios do.

    python benchmarks/speed.py                 # 5 rounds
    python benchmarks/speed.py --rounds 15
    python benchmarks/speed.py --only import convlint
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONVLINT = str(Path(sys.executable).with_name("convlint"))
MODEL = "resnet50.py"
MANY = 20

_BUILD = "import torch; from resnet50 import ResNet50; m = ResNet50().eval(); "
_META = (
    "import torch; from resnet50 import ResNet50\n"
    "with torch.device('meta'): m = ResNet50().eval(); x = torch.empty(1, 3, 224, 224)\n"
)
_X = "x = torch.zeros(1, 3, 224, 224); "
PEERS = {
    "torchinfo": _BUILD + "import torchinfo; torchinfo.summary(m, (1, 3, 224, 224))",
    "FlopCounterMode": _META
    + "from torch.utils.flop_counter import FlopCounterMode\n"
    + "with FlopCounterMode(display=False) as c, torch.no_grad(): m(x)\n",
    "thop": _BUILD + _X + "import thop; thop.profile(m, (x,), verbose=False)",
    "fvcore": _BUILD
    + _X
    + "from fvcore.nn import FlopCountAnalysis; FlopCountAnalysis(m, x).total()",
    "torchscan": _BUILD + "import torchscan; torchscan.summary(m, (3, 224, 224))",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the table: what it is called, the words, and what is done before each run."""

    name: str
    words: tuple[str, ...]
    changes: bool = False


def commands(only: list[str]) -> list[Command]:
    """Return the commands whose name begins with one of these (all where none is given)."""
    python = sys.executable
    found = [
        Command("import torch", (python, "-c", "import torch")),
        Command("convlint, cold", (python, CONVLINT, MODEL, "--no-cache", "--exit-zero")),
        Command("convlint, file changed", (python, CONVLINT, MODEL, "--exit-zero"), changes=True),
        Command("convlint, nothing changed", (python, CONVLINT, MODEL, "--exit-zero")),
        Command(f"convlint, {MANY} files", (python, CONVLINT, "many", "--no-cache", "--exit-zero")),
        *(
            Command(name, (python, "-c", code))
            for name, code in PEERS.items()
            if name == "FlopCounterMode" or importlib.util.find_spec(name)
        ),
    ]
    wanted = [c for c in found if not only or any(c.name.startswith(word) for word in only)]
    return wanted if wanted and wanted[0] is found[0] else [found[0], *wanted]


def run(command: Command, folder: Path) -> float:
    """Return the seconds of one run; raise RuntimeError where it fails."""
    if command.changes:
        with (folder / MODEL).open("a") as file:
            file.write("#\n")
    started = time.perf_counter()
    done = subprocess.run(command.words, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{command.name}: {done.stderr[-2000:]}")
    return seconds


def measure(chosen: list[Command], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every run by command; one round before is not counted."""
    seconds: dict[str, list[float]] = {command.name: [] for command in chosen}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copy(HERE / "models" / MODEL, folder)
        (folder / "many").mkdir()
        for number in range(MANY):
            shutil.copy(HERE / "models" / MODEL, folder / "many" / f"net{number}.py")
        for number in range(rounds + 1):
            for command in chosen:
                taken = run(command, folder)
                if number:
                    seconds[command.name].append(taken)
            print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of names")
    words = parser.parse_args()
    chosen = commands(words.only)
    seconds = measure(chosen, words.rounds)
    base = seconds[chosen[0].name]
    print(f"{'median':>8} {'ratio':>7}  of {words.rounds} interleaved rounds, {MODEL}")
    for name, taken in seconds.items():
        ratio = statistics.median(t / b for t, b in zip(taken, base, strict=True))
        print(f"{statistics.median(taken):>7.2f}s {ratio:>6.2f}x  {name}")
    many = f"convlint, {MANY} files"
    if many in seconds and "convlint, cold" in seconds:
        more = [
            (all_ - one) / (MANY - 1)
            for all_, one in zip(seconds[many], seconds["convlint, cold"], strict=True)
        ]
        print(f"{statistics.median(more):>7.3f}s          each file after the first")


if __name__ == "__main__":
    main()
