"""The child: imports torch once, then forks a process for every Request.

Spoken over pipes, a JSON line each: the parent sends jobs (files to read a Request from
and to write the Reply to) and closes its end; the child answers ``ready`` and one line for
every job that ended. Where there is no fork a fresh interpreter serves each job.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any, TextIO

from convlint.tracing import shortcuts
from convlint.tracing.hooks import AfterImport

_POLL = 0.004
_GRACE = 0.3


@dataclass(frozen=True, slots=True)
class Job:
    """One Request to serve: paths of its files, and its limits."""

    index: int
    request: str
    reply: str
    output: str
    fault: str
    timeout: float
    memory: int


@dataclass(slots=True)
class _Running:
    job: Job
    pid: int
    started: float
    process: subprocess.Popen[bytes] | None = None


def main() -> None:
    """Serve jobs from stdin until it ends."""
    control, answers = _take_over_streams()
    try:
        shortcuts.import_torch()
    except ModuleNotFoundError as error:
        missing = error.name == "torch"
        _say(answers, event="no-torch" if missing else "broken-torch", message=str(error))
        return
    except Exception as error:
        _say(answers, event="broken-torch", message=f"{type(error).__name__}: {error}")
        return
    _warm_up()
    _say(answers, event="ready", python=sys.executable)
    serve_all(Control(control), answers)
    os._exit(0)  # without taking torch down piece by piece


def _take_over_streams() -> tuple[int, TextIO]:
    """Keep the pipes for ourselves: user code reads nothing and prints to stderr."""
    control = os.dup(0)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull) as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return control, answers


def _warm_up() -> None:
    """Do once, before forking, what every first run on meta would do again."""
    import torch

    from convlint.tracing import read  # noqa: F401

    with torch.no_grad(), contextlib.suppress(Exception):
        layer = torch.nn.Conv2d(1, 1, 1, device="meta")
        torch.nn.functional.relu(layer(torch.empty(1, 1, 2, 2, device="meta")))
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)  # a child reads one model and ends


def _say(answers: TextIO, **fields: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        answers.write(json.dumps(fields) + "\n")
        answers.flush()


class Control:
    """The lines that the parent sends, as they come; ``ended`` when it sends no more."""

    def __init__(self, pipe: int) -> None:
        self.ended = False
        self._pipe = pipe
        self._rest = b""
        self._selects = hasattr(os, "fork")

    def lines(self, wait: float | None) -> list[dict[str, Any]]:
        """Return the messages that came, after ``wait`` seconds at the most (None: any time)."""
        if self.ended or (self._selects and not select.select([self._pipe], [], [], wait)[0]):
            time.sleep(0 if self._selects or wait is None else wait)
            return []
        if not self._selects and wait is not None:  # such pipes cannot be asked, only read
            time.sleep(wait)
            return []
        data = os.read(self._pipe, 1 << 16)
        self.ended = not data
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in whole]


def serve_all(control: Control, answers: TextIO) -> None:
    """Run the jobs as they come and say of each how it ended, until no more can come."""
    running: list[_Running] = []
    waiting: list[Job] = []
    limit, spawn, parent = 1, not hasattr(os, "fork"), os.getppid()

    def stop(*_: object) -> None:
        for child in running:
            _kill(child)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while waiting or running or not control.ended:
        for line in control.lines(_POLL if waiting or running else None):
            if "index" in line:
                waiting.append(Job(**line))
            else:
                limit, spawn = line["jobs"], spawn or line["spawn"]
        while waiting and len(running) < limit:
            running.append(_start(waiting.pop(0), spawn))
        for child in list(running):
            ended = _look(child)
            if ended is not None:
                running.remove(child)
                _say(answers, event="done", index=child.job.index, **ended)
        if os.getppid() != parent:
            stop()


def _start(job: Job, spawn: bool) -> _Running:
    if spawn:
        code = f"import sys; sys.path[:] = {sys.path!r}; from convlint.tracing import serve; "
        code += f"serve.serve_one(serve.Job(**{_fields(job)!r}))"
        command = [sys.executable, "-P", "-c", code]
        process = subprocess.Popen(command, start_new_session=hasattr(os, "setsid"))
        return _Running(job, process.pid, time.monotonic(), process)
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            os.setsid()
            serve_one(job)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return _Running(job, pid, time.monotonic())


def _fields(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in Job.__slots__}


def _look(child: _Running) -> dict[str, Any] | None:
    """Return how the child ended, or None while it runs; one over its time is ended."""
    if child.process is not None:
        status = child.process.poll()
        ended = status is not None
        code = status or 0
    else:
        pid, raw = os.waitpid(child.pid, os.WNOHANG)
        ended = pid != 0
        code = os.waitstatus_to_exitcode(raw) if ended else 0
    if ended:
        _kill_group(child)
        return {"code": code, "timeout": False}
    if time.monotonic() - child.started <= child.job.timeout:
        return None
    if hasattr(signal, "SIGUSR1"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGUSR1)
        time.sleep(_GRACE)
    _kill(child)
    return {"code": -9, "timeout": True}


def _kill(child: _Running) -> None:
    _kill_group(child)
    if child.process is not None:
        child.process.kill()
        child.process.wait()
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child.pid, 0)


def _kill_group(child: _Running) -> None:
    """End what the child started: it leads a process group of its own."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def serve_one(job: Job) -> None:
    """Serve one job in this process: limits, streams to a file, Reply to a file."""
    output = os.open(job.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    fault = open(job.fault, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    faulthandler.enable(file=fault, all_threads=False)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, file=fault, all_threads=False)
    _limit_memory(job.memory)
    _go_offline()
    import msgspec

    from convlint import wire
    from convlint.touched import Watch
    from convlint.tracing import touches

    with open(job.request, "rb") as file:  # noqa: PTH123
        request = wire.decode_request(file.read())
    watch = Watch().start()
    reply = _read(request)
    reply = msgspec.structs.replace(reply, touched=touches.told(watch.stop(), job.request))
    try:
        data = wire.encode(reply)
    except (TypeError, ValueError, RecursionError) as error:
        data = wire.encode(_internal(request, error))
    with open(job.reply + ".part", "wb") as file:  # noqa: PTH123
        file.write(data)
    os.replace(job.reply + ".part", job.reply)  # noqa: PTH105
    sys.stdout.flush()
    sys.stderr.flush()


def _read(request: Any) -> Any:
    from convlint import wire
    from convlint.tracing import read, weights

    try:
        skipped = weights.skip_weights()
        _seed()
        return weights.told(read.read(request), skipped)
    except MemoryError:
        what = "out of memory while reading the model"
        failure = wire.Failure("memory", what, "raise the limit with --memory")
    except Exception as error:
        return _internal(request, error)
    return wire.Reply(request.target, "failed", failure=failure)


def _seed() -> None:
    """Start every generator alike, so that a model that draws gives the same report each time."""
    import random

    import torch

    random.seed(0)
    torch.manual_seed(0)
    AfterImport("numpy.random", lambda numbers: numbers.seed(0)).install()


def _internal(request: Any, error: Exception) -> Any:
    """Return the reply where convlint itself is at fault."""
    from convlint import wire

    what = f"internal error: {type(error).__name__}: {error}"
    trace = traceback.format_exc()[-6000:]
    failure = wire.Failure("internal-error", what, "please report it; -v shows where", None, trace)
    return wire.Reply(request.target, "failed", failure=failure)


def _limit_memory(limit: int) -> None:
    """Allow ``limit`` bytes of address space beyond what torch took already."""
    if limit <= 0:
        return
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + limit, now + limit))
    except (ImportError, OSError, ValueError):
        return


def _go_offline() -> None:
    """Refuse connections at once: a linter downloads no weights and never hangs on one."""
    import socket

    connect = socket.socket.connect

    def refuse(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError("convlint reads models offline; pass weights=None or pretrained=False")
        connect(sock, address)

    def resolve(host: Any, *_: Any, **__: Any) -> Any:
        raise OSError(f"convlint reads models offline ({host} was asked for); pass weights=None")

    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = resolve


if __name__ == "__main__":
    main()
