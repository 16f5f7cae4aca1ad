"""The only words spoken across the process wall: a Request, and the Reply to it."""

from __future__ import annotations

from typing import Literal

import msgspec

from convlint.ir.graph import GraphDocument
from convlint.ir.nodes import Data, SourceSpan

Origin = Literal["declared", "example", "inferred"]
Status = Literal["complete", "partial", "failed", "skipped"]


class InputSpec(Data, frozen=True):
    """One input of a model. ``name`` is a keyword of ``forward``, or None for a position.

    ``found_at`` is the line that shows the shape, where it was read from the file. A tensor in
    a dict or list has the keys down to it in ``within``, and the ``argument`` (a position) that
    the container is.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    name: str | None = None
    origin: Origin = "declared"
    found_at: SourceSpan | None = None
    within: tuple[int | str, ...] = ()
    argument: int | None = None

    @property
    def label(self) -> str:
        """How people call it: "mask", "batch[image]", or nothing for a plain position."""
        place = "" if self.argument is None else f"argument {self.argument + 1}"
        return (self.name or place) + "".join(f"[{key}]" for key in self.within)


class Request(Data, frozen=True):
    """One model to read.

    ``target`` is what reports call it. ``root`` is the absolute folder that paths
    are told relative to. Exactly one of ``file`` (absolute) and ``module`` (dotted) is
    given. ``expressions`` are tried in turn in that module's namespace; ``class_name``
    is the root class where discovery guessed it: with ``tentative``, a name that turns
    out to be no nn.Module makes the reply ``skipped``. A ``base`` is a class that another
    root inherits from, to be told only where it was read in full; a ``guess`` is told only
    where it was read at all. ``inputs`` are whole input lists, tried in turn; empty means
    that shapes are inferred. ``outputs`` names the outputs that are read; empty means all.
    """

    target: str
    root: str
    file: str | None = None
    module: str | None = None
    expressions: tuple[str, ...] = ()
    class_name: str | None = None
    class_line: int = 1
    required: tuple[str, ...] = ()
    tentative: bool = False
    base: bool = False
    guess: bool = False
    inputs: tuple[tuple[InputSpec, ...], ...] = ()
    search_path: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


FailureKind = Literal[
    "import-error",
    "missing-module",
    "syntax-error",
    "build-error",
    "needs-arguments",
    "expression-error",
    "not-a-module",
    "input-error",
    "output-error",
    "forward-error",
    "data-dependent",
    "nothing-executed",
    "exited",
    "crashed",
    "timeout",
    "memory",
    "no-torch",
    "internal-error",
]


class Failure(Data, frozen=True):
    """Why a model could not be read.

    ``message`` says what happened with the values seen; ``fix`` what to type instead;
    ``trace`` is the trimmed traceback, for ``-v``.
    """

    kind: FailureKind
    message: str
    fix: str = ""
    location: SourceSpan | None = None
    trace: str = ""


class Diagnostic(Data, frozen=True):
    """A word of convlint about its own work, with a CL9xx code."""

    code: str
    message: str
    severity: Literal["error", "warning", "info"] = "info"
    location: SourceSpan | None = None


class Touched(Data, frozen=True):
    """What a Reply was made of, beside torch: absolute paths, and environment variables.

    ``files`` were read or looked for; ``listed`` are folders whose entries were asked for,
    ``searched`` those that imports looked through; ``sites`` hold installed packages.
    ``uncertain`` says what else played a part ("os.system"), "" for nothing.
    """

    files: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    environment: dict[str, str | None] = {}
    uncertain: str = ""


class Reply(Data, frozen=True):
    """What the child made of a Request.

    ``touched`` is what it was made of, None where that is not known. ``sources`` maps each path that a SourceSpan names to the absolute file, for code
    frames; it goes into no report. ``seconds`` is for ``-v`` only.
    """

    target: str
    status: Status
    expression: str = ""
    class_name: str = ""
    inputs: tuple[InputSpec, ...] = ()
    graph: GraphDocument | None = None
    failure: Failure | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: dict[str, str] = {}
    output: str = ""
    torch_version: str = ""
    seconds: float = 0.0
    touched: Touched | None = None


def encode(message: Request | Reply) -> bytes:
    """Return the message as JSON."""
    return msgspec.json.encode(message)


def decode_request(data: bytes) -> Request:
    """Return the Request in ``data``; raise msgspec.DecodeError where it is none."""
    return msgspec.json.decode(data, type=Request)


def decode_reply(data: bytes) -> Reply:
    """Return the Reply in ``data``; raise msgspec.DecodeError where it is none."""
    return msgspec.json.decode(data, type=Reply)
