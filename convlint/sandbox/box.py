"""Sandbox: one child that imports torch, and the replies of the models it is asked for."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from convlint import wire
from convlint.sandbox import endings

_CODE = "import sys; sys.path += {paths!r}; from convlint.tracing import serve; serve.main()"
_OUTPUT_CAP = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one model may take: seconds, bytes of memory; ``jobs`` models at once (0: cores)."""

    timeout: float = 120.0
    memory: int = 8 * 2**30
    jobs: int = 0

    @property
    def at_once(self) -> int:
        """How many children run at the same time."""
        return self.jobs or os.cpu_count() or 1


class Sandbox:
    """A context in which models are read by a child process.

    The child starts to import torch when the context is entered, so that the parent can do its
    own imports meanwhile. ``python`` is the child's interpreter (default: the running one).
    """

    def __init__(
        self, python: str | None = None, limits: Limits | None = None, *, spawn: bool = False
    ) -> None:
        self._python = python or sys.executable
        self._limits = limits or Limits()
        self._spawn = spawn
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Sandbox:
        self._folder = tempfile.TemporaryDirectory(prefix="convlint-", ignore_cleanup_errors=True)
        log = Path(self._folder.name, "server.log").open("w")
        with log:
            self._process = subprocess.Popen(
                [self._python, "-P", "-c", _CODE.format(paths=[_own_packages(self._folder.name)])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(),
                text=True,
                encoding="utf-8",
                start_new_session=hasattr(os, "setsid"),
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if self._folder is not None:
            self._folder.cleanup()

    def run(self, requests: Sequence[wire.Request]) -> Iterator[wire.Reply]:
        """Yield the reply to every request, in the order of the requests.

        A request that kills its process, runs out of time or memory gets a failed reply; the
        others are not touched by it.
        """
        assert self._process is not None and self._process.stdout is not None
        self._send(requests)
        answers: dict[int, wire.Reply] = {}
        given = 0
        for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "done":
                index = event["index"]
                answers[index] = self._collect(index, requests[index], event)
            elif event["event"] != "ready":
                for request in requests:
                    yield endings.no_torch(request, self._python, event["event"], event["message"])
                return
            while given in answers:
                yield answers.pop(given)
                given += 1
        for index in range(given, len(requests)):
            yield answers.get(index) or endings.server_died(requests[index], self._log())

    def _send(self, requests: Sequence[wire.Request]) -> None:
        assert self._process is not None and self._process.stdin is not None
        lines = [json.dumps({"jobs": self._limits.at_once, "spawn": self._spawn})]
        lines += [json.dumps(self._job(i, request)) for i, request in enumerate(requests)]
        with contextlib.suppress(OSError):
            self._process.stdin.write("\n".join(lines) + "\n")
            self._process.stdin.close()

    def _job(self, index: int, request: wire.Request) -> dict[str, Any]:
        self._file(index, "request").write_bytes(wire.encode(request))
        names = {
            key: str(self._file(index, key)) for key in ("request", "reply", "output", "fault")
        }
        return {
            "index": index,
            **names,
            "timeout": self._limits.timeout,
            "memory": self._limits.memory,
        }

    def _file(self, index: int, what: str) -> Path:
        assert self._folder is not None
        return Path(self._folder.name, f"{index}.{what}")

    def _log(self) -> str:
        assert self._folder is not None
        with contextlib.suppress(OSError):
            return Path(self._folder.name, "server.log").read_text(errors="replace")[-2000:]
        return ""

    def _collect(self, index: int, request: wire.Request, event: dict[str, Any]) -> wire.Reply:
        output = _read_text(self._file(index, "output"))
        try:
            reply = wire.decode_reply(self._file(index, "reply").read_bytes())
        except (OSError, msgspec.DecodeError):
            fault = _read_text(self._file(index, "fault"))
            reply = endings.abnormal(request, event, fault, self._limits.timeout)
        return msgspec.structs.replace(reply, output=output)


def _read_text(path: Path) -> str:
    try:
        with path.open(errors="replace") as file:
            return file.read(_OUTPUT_CAP)
    except OSError:
        return ""


def _own_packages(folder: str) -> str:
    """Return a folder that holds convlint and msgspec alone, last on the child's path.

    So an interpreter that has neither can serve, and takes nothing else of ours (not torch).
    """
    import convlint

    place = Path(folder, "packages")
    place.mkdir()
    for package in (convlint, msgspec):
        source = Path(str(package.__file__)).parent
        try:
            (place / source.name).symlink_to(source, target_is_directory=True)
        except OSError:
            shutil.copytree(source, place / source.name)
    return str(place)


def _environment() -> dict[str, str]:
    """Return the child's environment: eager Python all through, and no hub.

    ``PYTORCH_JIT=0`` makes ``torch.jit.script`` return its argument, so that scripted modules
    can be looked through.
    """
    return {
        **os.environ,
        "PYTORCH_JIT": "0",
        "TORCHDYNAMO_DISABLE": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
