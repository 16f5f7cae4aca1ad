"""One recorded call as the lowering sees it, and what a handler makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from convlint.ir.nodes import AnyOp, TensorSpec
from convlint.tracing.tracer import CALL, CallRecord


def record_of(node: fx.Node) -> CallRecord:
    """Return what the recorder noted on ``node``."""
    record = node.meta[CALL]
    assert isinstance(record, CallRecord)
    return record


def spec_of(node: fx.Node) -> TensorSpec:
    """Return the spec of the (first) tensor that ``node`` makes."""
    return record_of(node).outputs[0]


@dataclass(frozen=True, slots=True)
class Call:
    """A call: its canonical name ("conv2d", "add", "getitem"), arguments and output specs.

    Arguments that are tensors are fx nodes: ``tensors`` are all of them in order, those in lists
    included. ``layer`` is the leaf module of a module call.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    record: CallRecord
    layer: nn.Module | None = None
    tensors: list[fx.Node] = field(init=False)

    def __post_init__(self) -> None:
        """Look for the tensors once; handlers ask for them often."""
        found: list[fx.Node] = []
        _collect((self.args, self.kwargs), found)
        object.__setattr__(self, "tensors", found)

    def arg(self, place: int, key: str, default: Any = None) -> Any:
        """Return the argument at ``place`` or under ``key``."""
        if place < len(self.args):
            return self.args[place]
        return self.kwargs.get(key, default)

    @property
    def source(self) -> fx.Node:
        """The first tensor argument."""
        return self.tensors[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first tensor argument."""
        return spec_of(self.source).shape

    @property
    def output(self) -> TensorSpec:
        """The spec of the first result."""
        return self.record.outputs[0]

    def axis(self, value: int, *, extra: int = 0) -> int:
        """Return a possibly negative axis of the first tensor counted from the front."""
        return int(value) % (len(self.shape) + extra) if len(self.shape) + extra else 0


def _collect(value: Any, found: list[fx.Node]) -> None:
    if isinstance(value, fx.Node):
        found.append(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, slice):
        _collect((value.start, value.stop, value.step), found)


@dataclass(frozen=True, slots=True)
class Lowered:
    """What a call becomes: the operation, the tensors it reads, the parameters it uses.

    ``params`` pairs a role with an fx ``get_attr`` node (functional call) or with a name of
    the leaf module's own parameter or buffer. ``folded`` are computed weights that the operation
    takes as stored ones: what computes them is no part of the graph unless something else reads it.
    """

    op: AnyOp
    inputs: tuple[fx.Node, ...]
    params: tuple[tuple[str, fx.Node | str], ...] = ()
    folded: tuple[fx.Node, ...] = ()


Handler = Callable[[Call], Lowered | None]


def tuple_of(value: Any, axes: int) -> tuple[int, ...]:
    """Return an int or a sequence as one int per axis."""
    if isinstance(value, (list, tuple)):
        items = tuple(int(item) for item in value)
        return items * axes if len(items) == 1 else items
    return (int(value),) * axes
