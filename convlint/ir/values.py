"""The plain values that nodes are made of: specs, parameters, references, lines."""

from __future__ import annotations

import math

import msgspec

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

DTYPE_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "complex64": 8,
    "complex128": 16,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every plain value that crosses a wall: frozen, strictly decoded."""


class SourceSpan(Data, frozen=True):
    """Where something stands in a file; lines and columns count from 1.

    ``path`` is relative to the project's root (POSIX), or to the entry of
    ``sys.path`` that an installed package was imported from.
    """

    path: str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0


class TensorSpec(Data, frozen=True):
    """Shape and dtype of one tensor."""

    shape: Ints
    dtype: str = "float32"

    @property
    def elements(self) -> int:
        """Number of elements, batch included."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes; a dtype that is not known counts 4 bytes an element."""
        return self.elements * DTYPE_BYTES.get(self.dtype, 4)


class Idle(Data, frozen=True):
    """The largest module around a parameter of which no node reads any; its class and lines.

    ``module`` is empty where other parameters of the same module are read. ``built_at`` is the
    line that constructs the module, ``built_through`` the project's lines above it.
    """

    module: str
    class_name: str = ""
    built_at: SourceSpan | None = None
    built_through: tuple[SourceSpan, ...] = ()


class Param(Data, frozen=True):
    """One parameter or buffer as a node uses it.

    ``storage`` is equal for two names that share memory, so that shared weights
    are counted once. ``idle`` is set where no node reads it: the module it is idle with.
    """

    name: str
    storage: str
    shape: Ints
    dtype: str = "float32"
    role: str = "weight"
    buffer: bool = False
    idle: Idle | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.elements * DTYPE_BYTES.get(self.dtype, 4)


class Ref(Data, frozen=True):
    """One output of a node: ``node`` is its id, ``output`` counts from 0."""

    node: str
    output: int = 0
