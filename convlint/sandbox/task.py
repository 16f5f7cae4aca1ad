"""Runs one piece of work in a child of its own: rewriting or timing a model with weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from convlint.sandbox.box import Limits
from convlint.sandbox.server import lend
from convlint.wire import Failure
from convlint.work import Work, WorkReply, decode_reply, encode

_CODE = (
    "import sys; sys.path += {paths!r}; from convlint.applying import serve; serve.main({job!r})"
)
_PACKAGES = ("convlint", "msgspec", "networkx")
_CAP = 64 * 1024


@dataclass(frozen=True, slots=True)
class Child:
    """The interpreter of the child, its threads, and the packages it gets from here."""

    python: str | None = None
    threads: int = 1
    packages: tuple[str, ...] = ()


def perform(work: Work, child: Child, limits: Limits) -> WorkReply:
    """Return what came of ``work``; a child that dies or runs too long is a failure in the reply.

    KeyboardInterrupt ends the child.
    """
    with tempfile.TemporaryDirectory(prefix="convlint-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        (place / "work").write_bytes(encode(work))
        code = _CODE.format(paths=[lend(place, (*_PACKAGES, *child.packages))], job=folder)
        with (place / "output").open("wb") as output:
            process = subprocess.Popen(
                [child.python or sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(child.threads, limits),
                start_new_session=hasattr(os, "setsid"),
            )
        try:
            code_ = process.wait(limits.timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            what = f"still running after {limits.timeout:g} s; the process was ended"
            fix = "raise the limit with --timeout SECONDS"
            return WorkReply(failure=Failure("timeout", what, fix))
        except BaseException:
            _end(process)
            raise
        return _reply(place, code_)


def _reply(place: Path, code: int) -> WorkReply:
    text = (place / "output").read_text(errors="replace")[-_CAP:]
    try:
        reply = decode_reply((place / "reply").read_bytes())
    except (OSError, msgspec.DecodeError):
        last = text.strip().splitlines()[-1] if text.strip() else "no message"
        how = f"signal {-code}" if code < 0 else f"status {code}"
        what = f"the process ended with {how}: {last}"
        return WorkReply(failure=Failure("crashed", what, trace=text), output=text)
    return msgspec.structs.replace(reply, output=text)


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
    else:
        process.kill()
    process.wait()


def _environment(threads: int, limits: Limits) -> dict[str, str]:
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        "CONVLINT_MEMORY": str(limits.memory),
    }
