"""Exceptions of user code and of torch turned into Failures with a line and advice."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from types import TracebackType
from typing import Any

from convlint.ir.nodes import SourceSpan
from convlint.tracing.sources import Locator
from convlint.wire import Failure, FailureKind

_LONGEST = 300
_MISSING = re.compile(
    r"(?P<name>\w+)\.__init__\(\) missing \d+ required [\w-]+ arguments?: (?P<arguments>.*)"
)


class ReadError(Exception):
    """A model that cannot be read; carries the Failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def locate(error: BaseException, locator: Locator) -> SourceSpan | None:
    """Return the innermost project line of the error's traceback, else a package's line."""
    found: dict[str, SourceSpan] = {}
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        kind = locator.kind_of(code.co_filename)
        if kind != "hidden":
            found[kind] = locator.span(code, trace.tb_lasti)
        trace = trace.tb_next
    return found.get("project") or found.get("package")


def words(error: BaseException) -> str:
    """Return the error's type and the first line of its text, the second too where that goes on."""
    text = [line.strip() for line in str(error).strip().splitlines()]
    first = " ".join(text[:2])[:_LONGEST] if text and text[0].endswith(":") else (text or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def describe(
    error: BaseException, kind: FailureKind, locator: Locator, *, what: str = "", fix: str = ""
) -> Failure:
    """Return the Failure of an exception: its words, its line, its trimmed traceback."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        kind, fix = "memory", "raise the limit with --memory, or lint a smaller input"
    if isinstance(error, SystemExit):
        kind = "exited"
        what, fix = f"the code called sys.exit({error.code!r})", "guard it by __name__"
    message = f"{what}: {words(error)}" if what and kind != "exited" else what or words(error)
    return Failure(kind, message, fix, locate(error, locator), _trace(error))


def of_import(error: BaseException, locator: Locator) -> Failure:
    """Return the Failure of a file or module that could not be imported."""
    if isinstance(error, SyntaxError) and error.filename:
        span = SourceSpan(locator.tell(error.filename), error.lineno or 1, error.offset or 1)
        return Failure("syntax-error", f"syntax error: {error.msg}", "", span, _trace(error))
    if isinstance(error, ModuleNotFoundError) and error.name:
        fix = (
            f"install {error.name.partition('.')[0]} where convlint runs ({sys.executable}), or run"
            " convlint in the project's environment (or --python PATH)"
        )
        what = f"no module named '{error.name}'"
        return Failure("missing-module", what, fix, locate(error, locator), _trace(error))
    return describe(error, "import-error", locator, what="importing the file failed")


def missing_arguments(maker: Any) -> tuple[str, ...]:
    """Return the names of the arguments that ``maker`` cannot be called without."""
    try:
        parameters = inspect.signature(maker).parameters.values()
    except (TypeError, ValueError):
        return ()
    empty = inspect.Parameter.empty
    fixed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(
        p.name
        for p in parameters
        if p.default is empty and (p.kind in fixed or p.kind is inspect.Parameter.KEYWORD_ONLY)
    )


def not_given(error: BaseException, kind: Any) -> tuple[str, ...]:
    """Return the arguments that a call of class ``kind`` lacked, if that is what the error says."""
    found = _MISSING.fullmatch(str(error)) if isinstance(error, TypeError) else None
    bases = kind.__mro__ if isinstance(kind, type) else ()
    if found is None or found["name"] not in [base.__name__ for base in bases]:
        return ()
    return tuple(re.findall(r"'(\w+)'", found["arguments"]))


def needs_arguments(
    name: str, target: str, names: tuple[str, ...], span: SourceSpan | None
) -> Failure:
    """Return the Failure of a constructor whose arguments nobody gave, with what to type."""
    base = target.rpartition(":")[0] or target
    call = ", ".join(f"{argument}=..." for argument in names)
    fix = f"give them: convlint '{base}:{name}({call})'"
    what = f"{name} needs the argument{'s' if len(names) > 1 else ''} {', '.join(names)}"
    return Failure("needs-arguments", what, fix, span)


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, limit=-12))[-6000:]
