"""Sandbox: one child that imports torch, and the replies of the models it is asked for."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from convlint import wire
from convlint.sandbox import endings
from convlint.sandbox.server import Server, start

_OUTPUT_CAP = 64 * 1024
_FILES = ("request", "reply", "output", "fault")


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
    ``server`` is a child that was started before; one that does not fit is ended. A ``lazy``
    one starts its child with the first request.
    """

    def __init__(
        self,
        python: str | None = None,
        limits: Limits | None = None,
        *,
        spawn: bool = False,
        server: Server | None = None,
        lazy: bool = False,
    ) -> None:
        self._python = python or sys.executable
        self._limits = limits or Limits()
        self._spawn = spawn
        self._server = server
        self._lazy = lazy
        self._sent = 0

    def __enter__(self) -> Sandbox:
        given = self._server
        if given is not None and not given.serves(self._python):
            given.stop()
            given = None
        self._server = given
        if not self._lazy:
            self._started()
        return self

    def _started(self) -> Server:
        self._server = self._server or start(self._python)
        return self._server

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.stop()

    def run(self, requests: Sequence[wire.Request]) -> Iterator[wire.Reply]:
        """Send the requests; return an iterator of the replies, in the order of the requests.

        A request that kills its process, runs out of time or memory gets a failed reply; the
        others are not touched by it. To be called again when all replies were taken.
        """
        server = self._started()
        first = self._sent
        self._sent += len(requests)
        self._send(server, first, requests)
        return self._replies(server, first, requests)

    def _replies(
        self, server: Server, first: int, requests: Sequence[wire.Request]
    ) -> Iterator[wire.Reply]:
        assert server.process.stdout is not None
        answers: dict[int, wire.Reply] = {}
        given = 0
        while given < len(requests):
            line = server.process.stdout.readline()
            event: dict[str, Any] = json.loads(line) if line else {"event": "ended"}
            if event["event"] == "done":
                place = event["index"] - first
                answers[place] = self._collect(event["index"], requests[place], event)
            elif event["event"] == "ended":
                break
            elif event["event"] != "ready":
                for request in requests:
                    yield endings.no_torch(request, self._python, event["event"], event["message"])
                return
            while given in answers:
                yield answers.pop(given)
                given += 1
        for place in range(given, len(requests)):
            yield answers.get(place) or endings.server_died(requests[place], server.log())

    def _send(self, server: Server, first: int, requests: Sequence[wire.Request]) -> None:
        assert server.process.stdin is not None
        lines = [json.dumps({"jobs": self._limits.at_once, "spawn": self._spawn})]
        lines += [json.dumps(self._job(first + i, request)) for i, request in enumerate(requests)]
        with contextlib.suppress(OSError):
            server.process.stdin.write("\n".join(lines) + "\n")
            server.process.stdin.flush()

    def _job(self, index: int, request: wire.Request) -> dict[str, Any]:
        self._file(index, "request").write_bytes(wire.encode(request))
        names = {key: str(self._file(index, key)) for key in _FILES}
        return {
            "index": index,
            **names,
            "timeout": self._limits.timeout,
            "memory": self._limits.memory,
        }

    def _file(self, index: int, what: str) -> Path:
        assert self._server is not None
        return self._server.file(f"{index}.{what}")

    def _collect(self, index: int, request: wire.Request, event: dict[str, Any]) -> wire.Reply:
        output = _read_text(self._file(index, "output"))
        try:
            reply = wire.decode_reply(self._file(index, "reply").read_bytes())
        except (OSError, msgspec.DecodeError):
            fault = _read_text(self._file(index, "fault"))
            reply = endings.abnormal(request, event, fault, self._limits.timeout)
        for what in _FILES:
            self._file(index, what).unlink(missing_ok=True)
        return msgspec.structs.replace(reply, output=output)


def _read_text(path: Path) -> str:
    try:
        with path.open(errors="replace") as file:
            return file.read(_OUTPUT_CAP)
    except OSError:
        return ""
