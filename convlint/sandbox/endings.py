"""How a child can end without a reply, in words with a line."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

from convlint.ir.nodes import SourceSpan
from convlint.wire import Failure, Reply, Request

_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+) in ', re.MULTILINE)
_OURS = str(Path(__file__).resolve().parent.parent)


def no_torch(request: Request, python: str, event: str, message: str) -> Reply:
    """Return the reply where the child's interpreter has no torch that imports."""
    fix = (
        "run convlint in the environment of your project (pip install torch there), or name its"
        " interpreter with --python PATH"
    )
    if event == "no-torch":
        what = f"torch is not installed for {python}"
    else:
        what = f"torch does not import for {python}: {message}"
    return Reply(request.target, "failed", failure=Failure("no-torch", what, fix))


def server_died(request: Request, log: str) -> Reply:
    """Return the reply where the process that imports torch ended by itself."""
    last = log.strip().splitlines()[-1] if log.strip() else "no message"
    what = f"the process that imports torch ended: {last}"
    return Reply(request.target, "failed", failure=Failure("crashed", what, trace=log))


def abnormal(request: Request, event: dict[str, Any], fault: str, timeout: float) -> Reply:
    """Return the reply of a child that died, left or was ended, with the line it was at."""
    code = int(event["code"])
    location, sources = _last_line(request, fault)
    if event["timeout"]:
        what = f"still running after {timeout:g} s; the process was ended"
        failure = Failure(
            "timeout", what, "raise the limit with --timeout SECONDS", location, fault
        )
    elif code < 0:
        what = f"the process died of {_signal_name(-code)} while it read the model"
        failure = Failure("crashed", what, "run the file in Python to see why", location, fault)
    else:
        what = f"the model's code ended the process with status {code}"
        fix = "take os._exit out of what runs on import, in the constructor and in forward"
        failure = Failure("exited", what, fix, location or _first_line(request), fault)
    return Reply(request.target, "failed", failure=failure, sources=sources)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _first_line(request: Request) -> SourceSpan | None:
    if request.file is None:
        return None
    return SourceSpan(_tell(Path(request.file), request.root), 1)


def _last_line(request: Request, fault: str) -> tuple[SourceSpan | None, dict[str, str]]:
    """Return the innermost line of the user's code in a faulthandler dump."""
    for match in _FRAME.finditer(fault):
        file = Path(match["file"])
        hidden = "/torch/" in match["file"] or str(file).startswith((_OURS, "<"))
        if not hidden and "/lib/python" not in match["file"]:
            told = _tell(file, request.root)
            return SourceSpan(told, int(match["line"])), {told: str(file)}
    return None, {}


def _tell(file: Path, root: str) -> str:
    try:
        return file.resolve().relative_to(Path(root).resolve()).as_posix()
    except ValueError:
        return file.name
