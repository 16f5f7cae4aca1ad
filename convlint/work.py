"""What a child is asked for that changes or times a model, and what it answers.

``convlint apply`` and ``convlint measure`` run the model with real weights, in a process of its
own, as ``convlint check`` does without any.
"""

from __future__ import annotations

import msgspec

from convlint.contract import ModelReport, Saving, Totals
from convlint.ir.nodes import Data
from convlint.profiles import GENERIC, Target
from convlint.wire import Failure, InputSpec, Request


class RuleSpec(Data, frozen=True):
    """A rule for the child: the module that holds it, and its options as TOML has them."""

    module: str
    options: dict[str, object] = {}


class Files(Data, frozen=True):
    """Files to write, absolute; None for those that are not wanted."""

    state_dict: str | None = None
    program: str | None = None
    onnx: str | None = None
    source: str | None = None
    force: bool = False

    def wanted(self) -> dict[str, str]:
        """Return the paths by kind."""
        known = {
            "state_dict": self.state_dict,
            "program": self.program,
            "onnx": self.onnx,
            "source": self.source,
        }
        return {kind: path for kind, path in known.items() if path is not None}


class Timing(Data, frozen=True):
    """How to time: backends by name, threads, seconds for each backend, dtype, batch size.

    ``each`` also times every rule's rewrites alone.
    """

    backends: tuple[str, ...] = ("eager",)
    threads: int = 1
    seconds: float = 10.0
    dtype: str = "float32"
    batch: int | None = None
    each: bool = True


class Work(Data, frozen=True):
    """Models to rewrite (one) or to time (one, or two side by side).

    ``others`` ask for the one model at the other inputs that are declared for it.
    """

    requests: tuple[Request, ...]
    others: tuple[Request, ...] = ()
    rules: tuple[RuleSpec, ...] = ()
    profile: Target = GENERIC
    weights: str | None = None
    files: Files = Files()
    timing: Timing | None = None


class ChangeTold(Data, frozen=True):
    """One rewrite that was made; ``at_size`` where it is exact only at the given input size."""

    code: str
    name: str
    modules: tuple[str, ...]
    exact: bool
    at_size: bool = False


class Written(Data, frozen=True):
    """A file that was written; ``note`` says what is to be known of it."""

    kind: str
    path: str
    bytes: int
    note: str = ""


class Timed(Data, frozen=True):
    """One variant on one backend: median seconds of a call and the interval it is in (95 %).

    ``ratio`` is its median over that of the first variant, with its own interval; ``runs`` are
    calls. ``macs_ratio`` is MACs over those of the first variant.
    """

    backend: str
    variant: str
    seconds: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float
    runs: int
    macs: int
    macs_ratio: float


class WorkReply(Data, frozen=True):
    """What came of a piece of work.

    ``before`` and ``after`` are totals counted on the model and on the rewritten one, traced
    anew; ``state_bytes`` the sizes of their saved state_dicts as counted. ``notes`` are
    sentences for the user. ``random_weights`` says that the constructor's weights were used.
    """

    report: ModelReport | None = None
    inputs: tuple[InputSpec, ...] = ()
    changes: tuple[ChangeTold, ...] = ()
    refused: tuple[str, ...] = ()
    largest_difference: float | None = None
    before: Totals = Totals()
    after: Totals = Totals()
    saving: Saving = Saving()
    state_bytes: tuple[int, int] = (0, 0)
    written: tuple[Written, ...] = ()
    timed: tuple[Timed, ...] = ()
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    machine: str = ""
    random_weights: bool = True
    failure: Failure | None = None
    sources: dict[str, str] = {}
    output: str = ""


def encode(message: Work | WorkReply) -> bytes:
    """Return the message as JSON."""
    return msgspec.json.encode(message)


def decode_work(data: bytes) -> Work:
    """Return the Work in ``data``; raise msgspec.DecodeError where it is none."""
    return msgspec.json.decode(data, type=Work)


def decode_reply(data: bytes) -> WorkReply:
    """Return the WorkReply in ``data``; raise msgspec.DecodeError where it is none."""
    return msgspec.json.decode(data, type=WorkReply)
