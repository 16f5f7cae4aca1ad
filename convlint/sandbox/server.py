"""Starts the child process that imports torch: before anything slow is loaded on this side."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CODE = "import sys; sys.path += {paths!r}; from convlint.tracing import serve; serve.main()"
_PACKAGES = ("convlint", "msgspec")

SET = {
    "PYTORCH_JIT": "0",
    "TORCHDYNAMO_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}
"""What is set for the child: eager Python all through, and no hub.

``PYTORCH_JIT=0`` makes ``torch.jit.script`` return its argument, so that scripted modules can be
looked through.
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A child that imports torch, and the folder for the files of its jobs.

    ``place`` is the folder that it runs in.
    """

    python: str
    place: str
    process: subprocess.Popen[str]
    folder: tempfile.TemporaryDirectory[str]

    def file(self, name: str) -> Path:
        """Return the path of a file in the folder."""
        return Path(self.folder.name, name)

    def serves(self, python: str) -> bool:
        """Say whether it is this interpreter's, here, and lives."""
        return (
            self.process.poll() is None and self.python == python and self.place == str(Path.cwd())
        )

    def log(self) -> str:
        """Return the end of what the child said on stderr."""
        with contextlib.suppress(OSError):
            return self.file("server.log").read_text(errors="replace")[-2000:]
        return ""

    def stop(self) -> None:
        """End the child, and take its folder away."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=1)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        self.folder.cleanup()


def start(python: str | None = None) -> Server:
    """Return the child of this interpreter (default: the running one), importing torch."""
    python = python or sys.executable
    folder = tempfile.TemporaryDirectory(prefix="convlint-", ignore_cleanup_errors=True)
    paths = [lend(Path(folder.name), _PACKAGES)]
    with Path(folder.name, "server.log").open("w") as log:
        process = subprocess.Popen(
            [python, "-P", "-c", _CODE.format(paths=paths)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(),
            text=True,
            encoding="utf-8",
            start_new_session=hasattr(os, "setsid"),
        )
    return Server(python, str(Path.cwd()), process, folder)


def lend(place: Path, names: Sequence[str]) -> str:
    """Return a folder, to be last on the child's path, that holds these packages alone.

    So an interpreter that has none of them can serve, and takes nothing else of ours (not torch).
    """
    folder = place / "packages"
    folder.mkdir()
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        source = Path(spec.origin).parent
        try:
            (folder / name).symlink_to(source, target_is_directory=True)
        except OSError:
            shutil.copytree(source, folder / name)
    return str(folder)


def _environment() -> dict[str, str]:
    """Return the child's environment; one thread where nobody asked for more."""
    return {"OMP_NUM_THREADS": "1", **os.environ.copy(), **SET}
